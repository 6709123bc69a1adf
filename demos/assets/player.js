// Two clips in step, one over the other. `element`, `props` and `watch` come from Gradio.
const CLOSE = 0.02, FAR = 0.25; // seconds between the two: left alone below, sought above
const find = (selector) => element.querySelector(selector);
let edge = 0.5, held = false;

function divide(share) {
  edge = Math.max(0, Math.min(1, share));
  const screen = find(".screen");
  screen.style.setProperty("--edge", `${100 * edge}%`);
  screen.setAttribute("aria-valuenow", Math.round(100 * edge));
}

function films() {
  return [find(".before"), find(".after")];
}

function follow() {
  const [before, after] = films();
  if (!after) return;
  const gap = after.currentTime - before.currentTime;
  if (Math.abs(gap) > FAR || (after.paused && Math.abs(gap) > CLOSE)) {
    before.currentTime = after.currentTime;
    before.playbackRate = 1;
  } else before.playbackRate = Math.abs(gap) > CLOSE ? 1 + gap : 1;
}

function show() {
  const [, after] = films();
  const bar = find("input"), length = after.duration || 0, now = after.currentTime;
  const words = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  if (!held) bar.value = length ? now / length : 0;
  find(".clock").textContent = length ? `${words(now)} / ${words(length)}` : "";
  find(".player").classList.toggle("playing", !after.paused);
  find(".player").classList.toggle("audible", !after.muted);
}

function tick() {
  if (!element.isConnected) return;
  const [, after] = films();
  if (after && !after.paused) {
    follow();
    show();
    requestAnimationFrame(tick);
  }
}

function play(from) {
  const [before, after] = films();
  if (from !== undefined) before.currentTime = after.currentTime = from;
  Promise.all([after.play(), before.play()]).catch(() => {}); // a newer clip, or a browser that waits for a click
}

function pause() {
  films().forEach((film) => film.pause());
}

function drag(event) {
  const box = find(".screen").getBoundingClientRect();
  divide((event.clientX - box.left) / box.width);
}

const onScreen = (event) => event.target.closest(".screen");
element.addEventListener("pointerdown", (event) => {
  if (!onScreen(event)) return;
  onScreen(event).setPointerCapture(event.pointerId);
  drag(event);
});
element.addEventListener("pointermove", (event) => {
  if (event.buttons && onScreen(event)) drag(event);
});
element.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02 }[event.key];
  if (!step || !onScreen(event)) return;
  event.preventDefault();
  divide(edge + step);
});
element.addEventListener("click", (event) => {
  const wanted = event.target.closest("[data-do]")?.dataset.do;
  const [, after] = films();
  if (wanted === "play") after.paused ? play() : pause();
  if (wanted === "sound") after.muted = !after.muted;
});
element.addEventListener("input", (event) => {
  const [before, after] = films();
  held = true;
  before.currentTime = after.currentTime = event.target.value * (after.duration || 0);
});
element.addEventListener("change", () => (held = false));
// Events of media do not bubble, but can be caught on their way down.
["play", "pause", "loadedmetadata", "seeked", "volumechange"].forEach((name) =>
  element.addEventListener(name, (event) => {
    if (!event.target.matches(".after")) return;
    show();
    if (name === "play") tick();
    if (name === "pause") find(".before").pause();
    if (name === "seeked" && event.target.paused) follow();
  }, true)
);
element.addEventListener("ended", (event) => event.target.matches(".after") && play(0), true);
element.addEventListener("waiting", (event) => event.target.matches(".after") && find(".before").pause(), true);
element.addEventListener("playing", (event) => {
  if (event.target.matches(".after")) find(".before").play().catch(() => {});
}, true);

watch(["value"], () => { // another clip
  films().forEach((film) => (film.muted = true));
  divide(0.5);
  if (props.value) play();
});
divide(0.5);

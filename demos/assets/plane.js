// A plane of latents: the place under the pointer is the value, "x y". `element`, `props` and `watch` come from Gradio.
let place = [0, 0];

function show() {
  const point = element.querySelector(".plane i");
  point.style.left = `${50 + 50 * place[0]}%`;
  point.style.top = `${50 - 50 * place[1]}%`;
}

function go(x, y) {
  place = [x, y].map((value) => Math.max(-1, Math.min(1, value)));
  show();
  props.value = place.map((value) => value.toFixed(3)).join(" ");
}

element.addEventListener("pointermove", (event) => {
  const plane = event.target.closest(".plane");
  if (!plane) return;
  const box = plane.getBoundingClientRect();
  go((2 * (event.clientX - box.left)) / box.width - 1, 1 - (2 * (event.clientY - box.top)) / box.height);
});
element.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
  if (!step || !event.target.closest(".plane")) return;
  event.preventDefault();
  go(place[0] + step[0], place[1] + step[1]);
});
watch(["value", "sheet"], show); // the HTML was made anew
show();

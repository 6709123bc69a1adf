// A pad with a round pen; the drawing is published when a stroke ends. `element` and `props` come from Gradio.
const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });
const slider = element.querySelector("input[type=range]");
const tools = [...element.querySelectorAll("[data-tool]")];
const undoButton = element.querySelector('[data-do="undo"]');
const { paper, pen: ink } = canvas.dataset;
const history = [];
let tool = "pen";
let last = null; // while the pointer is down

const publish = () => (props.value = canvas.toDataURL("image/png"));

function remember() {
  history.push(pen.getImageData(0, 0, canvas.width, canvas.height));
  if (history.length > 50) history.shift();
  undoButton.disabled = false;
}

function wipe() {
  pen.fillStyle = paper;
  pen.fillRect(0, 0, canvas.width, canvas.height);
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function draw(to) {
  pen.strokeStyle = tool === "pen" ? ink : paper;
  pen.lineWidth = Number(slider.value) * (tool === "pen" ? 1 : 2);
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(to[0] + 0.01, to[1]); // a click alone leaves a dot
  pen.stroke();
  last = to;
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  remember();
  last = place(event);
  draw(last);
});
canvas.addEventListener("pointermove", (event) => {
  if (!last) return;
  for (const each of event.getCoalescedEvents?.() ?? [event]) draw(place(each));
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (!last) return;
    last = null;
    publish();
  });
}
// What another component sends it to start from: an image.
canvas.addEventListener("start", (event) => {
  remember();
  pen.drawImage(event.detail, 0, 0, canvas.width, canvas.height);
  publish();
});
tools.forEach((button) =>
  button.addEventListener("click", () => {
    tool = button.dataset.tool;
    tools.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
  })
);
undoButton.addEventListener("click", () => {
  pen.putImageData(history.pop(), 0, 0);
  undoButton.disabled = history.length === 0;
  publish();
});
element.querySelector('[data-do="clear"]').addEventListener("click", () => {
  remember();
  wipe();
  publish();
});
wipe();

// The drawing board: a canvas whose pixels are the drawing itself. `element` and `props` come from Gradio.
// Everything is painted in whole pixels, so that no colour outside the palette appears.
const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });
const slider = element.querySelector("input[type=range]");
const swatches = [...element.querySelectorAll(".swatch")];
const tools = [...element.querySelectorAll("[data-tool]")];
const undoButton = element.querySelector('[data-do="undo"]');
const { paper } = canvas.dataset;
const history = [];
let tool = "box";
let colour = "";
let stroke = null; // {from, last, before} while the pointer is down

const snapshot = () => pen.getImageData(0, 0, canvas.width, canvas.height);

function press(buttons, chosen) {
  buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === chosen)));
}

function chooseColour(swatch) {
  colour = swatch.dataset.colour;
  press(swatches, swatch);
  if (tool === "eraser") chooseTool(tools.find((button) => button.dataset.tool === "brush"));
}

function chooseTool(button) {
  tool = button.dataset.tool;
  press(tools, button);
}

function remember(before) {
  history.push(before);
  if (history.length > 50) history.shift();
  undoButton.disabled = false;
}

function publish() {
  props.value = canvas.toDataURL("image/png");
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [Math.floor((event.clientX - box.left) * scale), Math.floor((event.clientY - box.top) * scale)];
}

// A disc of whole pixels, row by row.
function stamp([x, y], size) {
  const radius = size / 2;
  for (let row = -Math.floor(radius); row <= radius; row++) {
    const half = Math.round(Math.sqrt(Math.max(radius * radius - row * row, 0)));
    pen.fillRect(x - half, y + row, Math.max(2 * half, 1), 1);
  }
}

function line(from, to, size) {
  const steps = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1);
  for (let step = 0; step <= steps; step++) {
    const share = step / steps;
    stamp([Math.round(from[0] + (to[0] - from[0]) * share), Math.round(from[1] + (to[1] - from[1]) * share)], size);
  }
}

// An ellipse of whole pixels in the box around it, row by row.
function ellipse(left, top, width, height) {
  for (let row = 0; row < height; row++) {
    const rise = (2 * row + 1) / height - 1; // of the row's middle, -1 to 1
    const half = Math.round((width / 2) * Math.sqrt(1 - rise * rise));
    pen.fillRect(Math.round(left + width / 2) - half, top + row, 2 * half, 1);
  }
}

// All of one colour that hangs together, row by row.
function fill([x, y]) {
  const image = snapshot();
  const { width, height } = canvas;
  const pixels = new Uint32Array(image.data.buffer);
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  pen.fillStyle = colour;
  pen.fillRect(x, y, 1, 1);
  const paint = new Uint32Array(pen.getImageData(x, y, 1, 1).data.buffer)[0];
  const old = pixels[y * width + x];
  if (old === paint) return;
  const waiting = [[x, y]];
  while (waiting.length) {
    let [left, row] = waiting.pop();
    while (left > 0 && pixels[row * width + left - 1] === old) left--;
    let above = false;
    let below = false;
    for (let at = row * width + left; left < width && pixels[at] === old; left++, at++) {
      pixels[at] = paint;
      const up = row > 0 && pixels[at - width] === old;
      const down = row < height - 1 && pixels[at + width] === old;
      if (up && !above) waiting.push([left, row - 1]);
      if (down && !below) waiting.push([left, row + 1]);
      [above, below] = [up, down];
    }
  }
  pen.putImageData(image, 0, 0);
}

function extend(point) {
  pen.fillStyle = tool === "eraser" ? paper : colour;
  if (tool === "box" || tool === "disc") {
    pen.putImageData(stroke.before, 0, 0);
    const [left, right] = [stroke.from[0], point[0]].sort((a, b) => a - b);
    const [top, bottom] = [stroke.from[1], point[1]].sort((a, b) => a - b);
    if (tool === "box") pen.fillRect(left, top, right - left + 1, bottom - top + 1);
    else ellipse(left, top, right - left + 1, bottom - top + 1);
  } else {
    line(stroke.last, point, (Number(slider.value) * canvas.width) / 256);
  }
  stroke.last = point;
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  const point = place(event);
  stroke = { from: point, last: point, before: snapshot() };
  if (tool === "fill") fill(point);
  else extend(point);
});
canvas.addEventListener("pointermove", (event) => {
  if (stroke && tool !== "fill") extend(place(event));
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (!stroke) return;
    remember(stroke.before);
    stroke = null;
    publish();
  });
}

function show(source, done) {
  const image = new Image();
  image.onload = () => {
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    done();
  };
  image.src = source;
}

swatches.forEach((swatch) => swatch.addEventListener("click", () => chooseColour(swatch)));
tools.forEach((button) => button.addEventListener("click", () => chooseTool(button)));
undoButton.addEventListener("click", () => {
  pen.putImageData(history.pop(), 0, 0);
  undoButton.disabled = history.length === 0;
  publish();
});
window.addEventListener("keydown", (event) => {
  const undo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z";
  if (!undo || stroke || canvas.offsetParent === null) return; // another tab has the page
  event.preventDefault();
  undoButton.click(); // does nothing while it is disabled
});
element.querySelector('[data-do="clear"]').addEventListener("click", () => {
  remember(snapshot());
  pen.fillStyle = paper;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  publish();
});
element.querySelectorAll(".thumbnail").forEach((start) =>
  start.addEventListener("click", () => {
    const before = snapshot();
    show(start.querySelector("img").src, () => {
      remember(before);
      publish();
    });
  })
);

chooseColour(swatches[0]);
show(element.querySelector(".thumbnail img").src, publish);

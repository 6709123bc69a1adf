"""Pictures of how latents lie: a PNG of thumbnails, and a page on which one moves among them.

The page is one file without outside references: it opens offline in any browser.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from translate.inference.grid import on_screen

SIDE, MARGIN = 1200, 40
# After Paul Tol's qualitative colours, distinguishable by colour-blind people as well.
COLOURS = (
    "#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#8C564B", "#009988", "#999999", "#332288",
    "#AACC00", "#EE7733",
)  # fmt: skip


def colour_of(label: int | None) -> str:
    """Of a class; grey without one."""
    return "#777777" if label is None else COLOURS[label % len(COLOURS)]


def thumbnail_map(
    points: np.ndarray,
    thumbnails: Sequence[Image.Image],
    labels: Sequence[int] | None,
    class_names: Sequence[str],
    *,
    title: str,
) -> Image.Image:
    """Thumbnails at their places, framed in the colours of their classes.

    Args:
        points: [N, 2] within [0, 1].
        thumbnails: N images, shown 28 px wide or so.
        labels: Numbers of classes, or None.
        class_names: Of the numbers.
        title: Written above.
    """
    legend = 44 if labels is not None else 0
    canvas = Image.new("RGB", (SIDE, SIDE + legend), (255, 255, 255))
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=18)
    pen.text((MARGIN / 2, 8), title, fill=(40, 40, 40), font=font)
    room = SIDE - 2 * MARGIN
    for index, (x, y) in enumerate(points):
        label = None if labels is None else int(labels[index])
        small = on_screen(thumbnails[index]).resize((24, 24), Image.Resampling.BILINEAR)
        left, top = int(MARGIN + x * room - 12), int(MARGIN + (1 - y) * room - 12)
        canvas.paste(small, (left, top))
        pen.rectangle((left - 2, top - 2, left + 25, top + 25), outline=colour_of(label), width=2)
    if labels is not None:
        place = MARGIN
        for number, name in enumerate(class_names):
            pen.rectangle((place, SIDE + 12, place + 16, SIDE + 28), fill=colour_of(number))
            pen.text((place + 22, SIDE + 9), name, fill=(40, 40, 40), font=font)
            place += 40 + int(pen.textlength(name, font=font))
            if place > SIDE - 100:
                break
    return canvas


def map_page(
    maps: dict[str, np.ndarray],
    thumbnails: Sequence[Image.Image],
    labels: Sequence[int] | None,
    class_names: Sequence[str],
    names: Sequence[str],
    *,
    title: str,
) -> str:
    """A page with a scatter for each map; a thumbnail follows the mouse, the wheel zooms, classes can be hidden.

    Args:
        maps: Name to points [N, 2] within [0, 1].
        thumbnails: N images of one size.
        labels: Numbers of classes, or None.
        class_names: Of the numbers.
        names: Of the images.
        title: Of the page.
    """
    width, height = thumbnails[0].size
    columns = max(1, round(len(thumbnails) ** 0.5))
    rows = -(-len(thumbnails) // columns)
    sprite = Image.new(
        "L" if all(image.mode == "L" for image in thumbnails) else "RGB", (columns * width, rows * height)
    )
    for index, image in enumerate(thumbnails):
        sprite.paste(on_screen(image), (index % columns * width, index // columns * height))
    buffer = io.BytesIO()
    sprite.save(buffer, format="PNG", optimize=True)
    data = {
        "maps": {name: np.round(points, 4).tolist() for name, points in maps.items()},
        "labels": None if labels is None else [int(label) for label in labels],
        "classes": list(class_names),
        "colours": [colour_of(number) for number in range(max(1, len(class_names)))],
        "names": list(names),
        "width": width,
        "height": height,
        "columns": columns,
        "sprite": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(),
    }
    # A name may hold "</script>": it must not end the script.
    values = json.dumps(data).replace("<", "\\u003c")
    return _PAGE.replace("{{title}}", html.escape(title)).replace("{{data}}", values)


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}}</title>
<style>
  :root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
  body { margin: 0; padding: 1rem; display: flex; flex-direction: column; gap: .6rem; height: calc(100vh - 2rem); }
  header { display: flex; flex-wrap: wrap; gap: .4rem .8rem; align-items: center; }
  h1 { font-size: 1.05rem; margin: 0 1rem 0 0; }
  button { font: inherit; border: 1px solid #8886; border-radius: .4rem; background: none; color: inherit;
           padding: .15rem .6rem; cursor: pointer; }
  button[aria-pressed=false] { opacity: .35; }
  .dot { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .35rem; }
  #stage { flex: 1; min-height: 200px; border: 1px solid #8886; border-radius: .4rem; overflow: hidden;
           position: relative; touch-action: none; }
  canvas { width: 100%; height: 100%; display: block; }
  #card { position: absolute; pointer-events: none; background: Canvas; border: 1px solid #888; padding: .3rem;
          border-radius: .4rem; display: none; font-size: .8rem; text-align: center; max-width: 12rem;
          overflow-wrap: anywhere; }
  #card canvas { width: 96px; height: 96px; image-rendering: pixelated; }
</style>
<body>
<header><h1>{{title}}</h1><span id="maps"></span><span id="classes"></span></header>
<div id="stage"><canvas id="points" aria-label="Map of the latents"></canvas>
<div id="card"><canvas></canvas><div id="name"></div></div></div>
<script>
const data = {{data}};
const canvas = document.getElementById("points"), pen = canvas.getContext("2d");
const card = document.getElementById("card"), small = card.querySelector("canvas");
const sprite = new Image();
let shown = Object.keys(data.maps)[0], scale = 1, shift = [0, 0], hidden = new Set(), dragged = null;
const label = i => data.labels ? data.labels[i] : 0;
const colour = i => data.labels ? data.colours[data.labels[i]] : "#777777";
function place(point) {
  const side = Math.min(canvas.width, canvas.height) * 0.94;
  return [(point[0] - .5) * side * scale + canvas.width / 2 + shift[0],
          (.5 - point[1]) * side * scale + canvas.height / 2 + shift[1]];
}
function source(i) { return [i % data.columns * data.width, Math.floor(i / data.columns) * data.height]; }
function draw() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const pictures = scale >= 3 && sprite.complete, half = pictures ? 5 * scale : 0;
  data.maps[shown].forEach((point, i) => {
    if (hidden.has(label(i))) return;
    const [x, y] = place(point);
    if (x < -60 || y < -60 || x > canvas.width + 60 || y > canvas.height + 60) return;
    if (pictures) {
      pen.drawImage(sprite, ...source(i), data.width, data.height, x - half, y - half, 2 * half, 2 * half);
      pen.strokeStyle = colour(i); pen.lineWidth = 2; pen.strokeRect(x - half, y - half, 2 * half, 2 * half);
    } else {
      pen.fillStyle = colour(i); pen.beginPath(); pen.arc(x, y, 4, 0, 7); pen.fill();
    }
  });
}
function resize() {
  const box = canvas.getBoundingClientRect(), dense = window.devicePixelRatio || 1;
  canvas.width = box.width * dense; canvas.height = box.height * dense; draw();
}
function at(event) {
  const box = canvas.getBoundingClientRect(), dense = canvas.width / box.width;
  return [(event.clientX - box.left) * dense, (event.clientY - box.top) * dense, dense];
}
function hover(event) {
  const [x, y, dense] = at(event);
  let best = null, least = (14 * dense) ** 2;
  data.maps[shown].forEach((point, i) => {
    if (hidden.has(label(i))) return;
    const [px, py] = place(point), distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least) { least = distance; best = i; }
  });
  card.style.display = best === null ? "none" : "block";
  if (best === null) return;
  small.width = data.width; small.height = data.height;
  small.getContext("2d").drawImage(sprite, ...source(best), data.width, data.height, 0, 0, data.width, data.height);
  document.getElementById("name").textContent =
    data.names[best] + (data.labels ? " · " + data.classes[data.labels[best]] : "");
  const left = x / dense + 14, top = y / dense + 14, box = canvas.getBoundingClientRect();
  card.style.left = Math.min(left, box.width - 130) + "px"; card.style.top = Math.min(top, box.height - 150) + "px";
}
canvas.addEventListener("pointerdown", event => {
  dragged = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener("pointerup", () => dragged = null);
canvas.addEventListener("pointermove", event => {
  if (dragged) {
    const dense = at(event)[2];
    shift = [shift[0] + (event.clientX - dragged[0]) * dense, shift[1] + (event.clientY - dragged[1]) * dense];
    dragged = [event.clientX, event.clientY]; draw();
  }
  hover(event);
});
canvas.addEventListener("pointerleave", () => card.style.display = "none");
canvas.addEventListener("wheel", event => {
  event.preventDefault();
  const [x, y] = at(event), factor = Math.exp(-event.deltaY / 400), next = Math.min(40, Math.max(.8, scale * factor));
  const ratio = next / scale, middle = [canvas.width / 2, canvas.height / 2];
  shift = [x - middle[0] - (x - middle[0] - shift[0]) * ratio, y - middle[1] - (y - middle[1] - shift[1]) * ratio];
  scale = next; draw();
}, {passive: false});
function toggle(parent, text, pressed, act, dot) {
  const button = document.createElement("button");
  if (dot) { const mark = document.createElement("span"); mark.className = "dot"; mark.style.background = dot;
             button.append(mark); }
  button.append(text); button.setAttribute("aria-pressed", pressed);
  button.onclick = () => act(button); parent.append(button, " ");
}
const choices = document.getElementById("maps");
Object.keys(data.maps).forEach(name => toggle(choices, name, name === shown, button => {
  shown = name; [...choices.children].forEach(other => other.setAttribute("aria-pressed", other === button)); draw();
}));
const classes = document.getElementById("classes");
if (data.labels) data.classes.forEach((name, number) => toggle(classes, name, true, button => {
  hidden.has(number) ? hidden.delete(number) : hidden.add(number);
  button.setAttribute("aria-pressed", !hidden.has(number)); draw();
}, data.colours[number]));
sprite.onload = draw; sprite.src = data.sprite;
new ResizeObserver(resize).observe(canvas);
</script>
</body>
</html>
"""

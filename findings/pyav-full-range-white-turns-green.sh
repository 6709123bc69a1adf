#!/usr/bin/env bash
# PyAV 18.1.0 (libswscale 9.5): VideoFrame.reformat rounds so coarsely that white does not stay white. White RGB sent to
# full-range yuv420p and back is (253, 255, 253), in BT.601, BT.709 and BT.2020 alike; in limited range it is white. The
# scale filter of the same libraries, asked for accurate rounding and full chroma interpolation, returns white in both.
# Seen on Linux, x86-64. Fails once that changes.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

white = np.full((64, 64, 3), 255, np.uint8)


def reformatted(matrix, full):
    there = {"src_colorspace": matrix, "dst_colorspace": matrix}
    ranges = ColorRange.JPEG, ColorRange.JPEG if full else ColorRange.MPEG
    frame = av.VideoFrame.from_ndarray(white, format="rgb24").reformat(
        format="yuv420p", src_color_range=ranges[0], dst_color_range=ranges[1], **there
    )
    back = frame.reformat(format="rgb24", src_color_range=ranges[1], dst_color_range=ranges[0], **there)
    return tuple(int(value) for value in back.to_ndarray()[32, 32])


def filtered(matrix, full):
    span = "pc" if full else "tv"
    flags = "flags=accurate_rnd+full_chroma_int+full_chroma_inp+bicubic"
    frame = av.VideoFrame.from_ndarray(white, format="rgb24")
    for source, target, side in (("rgb24", "yuv420p", "out"), ("yuv420p", "rgb24", "in")):
        graph = av.filter.Graph()
        nodes = [
            graph.add_buffer(width=64, height=64, format=source, time_base="1/25"),
            graph.add("scale", f"{flags}:{side}_color_matrix={matrix}:{side}_range={span}"),
            graph.add("format", target),
            graph.add("buffersink"),
        ]
        for first, second in zip(nodes, nodes[1:]):
            first.link_to(second)
        graph.configure()
        frame.pts = 0
        graph.push(frame)
        frame = graph.pull()
    return tuple(int(value) for value in frame.to_ndarray()[32, 32])


for matrix, name in ((Colorspace.ITU601, "bt601"), (Colorspace.ITU709, "bt709"), (Colorspace.BT2020, "bt2020")):
    for full in (False, True):
        found = reformatted(matrix, full), filtered(name, full)
        print(f"PyAV {av.__version__}, {name}, {'full' if full else 'limited'} range: reformat {found[0]}, filter {found[1]}")
        assert found == ((253, 255, 253) if full else (255, 255, 255), (255, 255, 255)), found
PYTHON

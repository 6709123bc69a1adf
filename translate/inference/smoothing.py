"""Less flicker: each frame is blended with the one before it, moved to where the input has moved.

A network sees each frame by itself, and what hardly differs in the input may differ in the output. Where the frame
before, moved along the optical flow of the input (Kroeger et al., 2016), agrees with this frame of the input, the
output is a weighted mean of its own and of the smoothed output before it, moved in the same way; where it does not
(what was hidden, what changed, what left the image), the output is its own. Nothing lags: what moves is moved first.
After Lai et al., Learning Blind Video Temporal Consistency, 2018, without their network.

Needs OpenCV. Legend: H height, W width.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from translate.config.errors import TranslateError

INSTALL = "pip install 'image-translate[smooth]'"
KEPT = 0.6
"""Share of the frame before in the mean, where the input agrees."""
TOLERANCE = 12.0
"""Difference of input frames, in 255 steps after a blur of some pixels, at which a third of that share is left."""
FLOW_SIDE = 512
"""Pixels of the longer side at which the flow is found; it is enlarged to the frames."""


class SmoothingError(TranslateError):
    """OpenCV is not installed; the message names the command."""


def _cv2() -> Any:
    try:
        import cv2
    except ModuleNotFoundError:
        raise SmoothingError(f"--smooth needs OpenCV: {INSTALL}") from None
    return cv2


class Smoother:
    """Blends the outputs of a clip's frames, given one after the other.

    Args:
        kept: Share of the frame before in the mean, 0 to 1.

    Raises:
        SmoothingError: OpenCV is not installed.
    """

    def __init__(self, *, kept: float = KEPT) -> None:
        cv2 = _cv2()
        self.kept = kept
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._input: np.ndarray | None = None
        self._output: np.ndarray | None = None

    def __call__(self, frame: np.ndarray, output: np.ndarray) -> np.ndarray:
        """The smoothed output.

        Args:
            frame: [H, W, 3 or 4] uint8, of the clip.
            output: [H, W, C] uint8, what the network made of it.

        Returns:
            [H, W, C] uint8.
        """
        frame = np.ascontiguousarray(frame[:, :, :3])
        before, smoothed = self._input, self._output
        self._input, self._output = frame, output.astype(np.float32)
        if before is None or smoothed is None or smoothed.shape != output.shape or before.shape != frame.shape:
            return output
        places = self.backward(frame, before)
        moved, was = warped(smoothed, places), warped(before.astype(np.float32), places)
        share = self.kept * _agreement(frame, was, places)[:, :, None]
        self._output = self._output * (1 - share) + moved * share
        return np.rint(self._output).clip(0, 255).astype(np.uint8)

    def backward(self, frame: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Where each pixel of a frame was in the frame before, float32 [H, W, 2] as (x, y) in pixels."""
        cv2 = _cv2()
        height, width = frame.shape[:2]
        scale = min(1.0, FLOW_SIDE / max(height, width))
        size = max(16, round(width * scale)), max(16, round(height * scale))
        small = [
            cv2.cvtColor(cv2.resize(one, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
            for one in (frame, before)
        ]
        flow = cv2.resize(self._flow.calc(*small, None), (width, height), interpolation=cv2.INTER_LINEAR)
        flow *= np.array([width / size[0], height / size[1]], np.float32)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        return flow + np.stack([x, y], axis=-1)


def warped(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """float32 [H, W, C] of an image [H, W, C], read at places [H, W, 2] as (x, y) in pixels; beyond the border, it."""
    cv2 = _cv2()
    image = np.ascontiguousarray(image, np.float32)
    made = cv2.remap(image, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return made.reshape(image.shape)


def _agreement(frame: np.ndarray, was: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How far the moved frame before is this one: float32 [H, W] in [0, 1], 0 outside of it."""
    cv2 = _cv2()
    height, width = frame.shape[:2]
    difference = cv2.blur(np.abs(frame - was).max(axis=2), (5, 5))
    x, y = places[:, :, 0], places[:, :, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.exp(-np.square(difference / TOLERANCE)) * inside

"""Progressive growing (Karras et al., 2018): which size a training is at, a pure function of the images seen.

A size is faded in over M images and then kept for N more, before the next follows; the smallest has nothing to fade in
from. So nothing of it has to be saved: a run that goes on knows where it is by its images.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_AT_ONCE = 4  # times the batch, of smaller images


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What is trained on at a time."""

    start: int = 0
    """Images seen when it began."""
    size: int | None = None
    """Side of the images; None for the training size."""
    batch_size: int
    fade: int = 0
    """Images over which the size fades in."""

    def alpha(self, images: int) -> float:
        """How far it has faded in, from 0 to 1, after so many images of the run."""
        return 1.0 if self.fade == 0 else min(1.0, (images - self.start) / self.fade)


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The stages of a run.

    Args:
        sizes: Sides, each twice the one before.
        batch_size: Images of a step at the last of them; smaller images come up to four times as many at once.
        stay: N, images for which a size is kept once it is there.
        fade: M, images over which a size fades in.
    """

    sizes: tuple[int, ...]
    batch_size: int
    stay: int
    fade: int

    def stages(self) -> tuple[Stage, ...]:
        """All of them; each lasts whole batches of its own, so none begins within a step."""
        found, start = [], 0
        for number, size in enumerate(self.sizes):
            batch = self.batch_size * min(MOST_AT_ONCE, self.sizes[-1] // size)
            fade = self.fade if number else 0
            found.append(Stage(start=start, size=size, batch_size=batch, fade=fade))
            start += -(-(fade + self.stay) // batch) * batch
        return tuple(found)

    def at(self, images: int) -> Stage:
        """The stage of a run that has seen so many images."""
        return next(stage for stage in reversed(self.stages()) if stage.start <= images)

"""The image pool of CycleGAN (Shrivastava et al., 2017, section 2.3): discriminators see earlier translations too."""

from __future__ import annotations

import torch
from torch import Tensor

from translate.recipes.chance import POOL, chance


class ImagePool:
    """Keeps some earlier images on their device, and gives them out in place of new ones.

    Args:
        size: Images it holds; 0 gives back what it gets.
        seed: With the number of images seen, all that decides what is swapped: nothing waits for the device.

    Attributes:
        seen: Images it was given so far.
    """

    def __init__(self, size: int, *, seed: int = 0) -> None:
        self.size, self.seed = size, seed
        self.seen = 0
        self.images: Tensor | None = None  # [size, C, H, W], made when the first image says what it is

    @torch.no_grad()
    def exchange(self, images: Tensor) -> Tensor:
        """Some of the images [N, C, H, W], and earlier ones in place of the others, without gradients.

        Until it is full, the pool keeps and returns every image; from then on it swaps every second one, by chance,
        for one that it holds.
        """
        images = images.detach()
        if self.size == 0:
            return images
        if self.images is None:
            self.images = images.new_zeros(self.size, *images.shape[1:])
        given = []
        for image in images:
            if self.seen < self.size:
                self.images[self.seen] = image
            else:
                generator = chance(seed=self.seed, stream=POOL, number=self.seen)
                if generator.random() < 0.5:
                    place = int(generator.integers(self.size))
                    earlier = self.images[place].to(image.dtype, copy=True)
                    self.images[place] = image
                    image = earlier
            self.seen += 1
            given.append(image)
        return torch.stack(given)

    def state_dict(self) -> dict[str, Tensor]:
        """The images it holds, and how many it has seen; nothing before the first."""
        if self.images is None:
            return {}
        return {"images": self.images, "seen": torch.tensor(self.seen)}

    def load_state_dict(self, state: dict[str, Tensor], *, device: torch.device) -> None:
        """Put back what `state_dict` took."""
        if state:
            self.images, self.seen = state["images"].to(device, copy=True), int(state["seen"])

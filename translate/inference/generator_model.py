"""Generators of images from random numbers, ready to use.

A seed means the same images everywhere: latents are drawn on the CPU, one after the other, so that the first of many
are those of a few. Shapes: N images, C channels, S side, D latents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor, nn

from translate.config.weights import WeightsConfig
from translate.data.images import Picture
from translate.inference.device import choose_device
from translate.inference.errors import InferenceError, a_kind
from translate.inference.image_model import Framing, slerp_path
from translate.networks import LatentGenerator

AT_ONCE = 256  # latents
PIXELS_AT_ONCE = 256 * 64**2  # of images in the network at a time


class GeneratorModel(Framing):
    """The generator of a GAN, in fp32.

    Args:
        network: Built from ``config.network``.
        config: What the weights say.
        device: cuda, mps, cpu or auto.

    Attributes:
        network: The ``nn.Module``.
        config: The `WeightsConfig`.
        class_names: Of a conditional one; empty otherwise.

    Raises:
        InferenceError: the weights are of another kind.
        DeviceError: this machine does not have the device.
    """

    def __init__(self, network: nn.Module, config: WeightsConfig, *, device: str = "auto") -> None:
        if not isinstance(network, LatentGenerator):
            raise InferenceError(
                f"'{config.name}' holds {a_kind(config.kind)}, which generates no images from latents: this needs the "
                "weights of a GAN (translate train gan, dcgan, wgan, wgan-gp, hinge or stylegan)"
            )
        super().__init__(config)
        self.device = choose_device(device)
        self.network = network.to(self.device).eval()
        self.config = config
        self.class_names = config.classes

    def __repr__(self) -> str:
        return f"GeneratorModel('{self.config.name}', {self.config.network.type}, {self.size} px, {self.device})"

    @property
    def at_once(self) -> int:
        """Images in the network at a time: fewer of larger ones."""
        return max(1, min(AT_ONCE, PIXELS_AT_ONCE // self.size**2))

    @property
    def latent_size(self) -> int:
        return self.network.config.latent

    def labels(self, count: int, *, classes: Sequence[str] = ()) -> Tensor | None:
        """Numbers of classes for so many images, int64 [count], in turn; None for a generator without classes.

        Args:
            count: How many.
            classes: Names; all of them unless given.

        Raises:
            InferenceError: a class that it was not trained on, or it was trained on none.
        """
        if not self.class_names:
            if classes:
                raise InferenceError(
                    f"'{self.config.name}' was trained without classes: omit them, or train with --conditional"
                )
            return None
        if unknown := [name for name in classes if name not in self.class_names]:
            raise InferenceError(
                f"'{self.config.name}' has no class {unknown[0]!r}: choose from {', '.join(self.class_names)}"
            )
        numbers = torch.tensor([self.class_names.index(name) for name in classes or self.class_names])
        return numbers[torch.arange(count) % len(numbers)]

    # Tensors

    def latents(self, count: int, *, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Random numbers [count, D].

        Raises:
            InferenceError: a count below 1, or a temperature below 0.
        """
        return torch.cat(list(self.latent_parts(count, seed=seed, temperature=temperature)))

    def latent_parts(self, count: int, *, seed: int, temperature: float = 1.0) -> Iterator[Tensor]:
        """As `latents`, 256 at a time."""
        if count < 1:
            raise InferenceError(f"the number of samples must be at least 1, not {count}")
        if temperature < 0:
            raise InferenceError(
                f"the temperature must be 0 or more, not {temperature:g}: 1 is the trained distribution"
            )
        generator = torch.Generator().manual_seed(seed)
        for start in range(0, count, AT_ONCE):
            # Always as many: PyTorch draws 16 values at a time, and a rest otherwise; few are the first of many.
            drawn = torch.randn(AT_ONCE, self.latent_size, generator=generator)
            yield drawn[: min(AT_ONCE, count - start)] * temperature

    @torch.inference_mode()
    def generated(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images [N, C, S, S] in [-1, 1], on the CPU, of latents [N, D] and numbers of classes [N]."""
        parts = []
        for start in range(0, len(latents), self.at_once):
            part = slice(start, start + self.at_once)
            chosen = None if labels is None else labels[part].to(self.device)
            parts.append(self.network(latents[part].to(self.device), chosen).float().cpu())
        return torch.cat(parts)

    def sampled(
        self, count: int, *, seed: int = 0, temperature: float = 1.0, classes: Sequence[str] = ()
    ) -> tuple[Tensor, Tensor | None]:
        """New images [count, C, S, S] in [-1, 1] on the CPU, and the numbers of their classes; as `sample`."""
        latents = self.latents(count, seed=seed, temperature=temperature)
        labels = self.labels(count, classes=classes)
        return self.generated(latents, labels), labels

    # For people

    def sample(
        self, count: int, *, seed: int = 0, temperature: float = 1.0, classes: Sequence[str] = ()
    ) -> list[Image.Image]:
        """New images; the same seed gives the same ones.

        Args:
            count: How many.
            seed: Of what is drawn.
            temperature: Below 1 for likelier and less varied ones.
            classes: Of a conditional generator, those that are asked for in turn; all of them unless given.

        Raises:
            InferenceError: a count, a temperature or a class that there is not.
        """
        return self.to_images(self.sampled(count, seed=seed, temperature=temperature, classes=classes)[0])

    def samples(
        self, count: int, *, seed: int = 0, temperature: float = 1.0, classes: Sequence[str] = ()
    ) -> Iterator[tuple[Picture, str | None]]:
        """As `sample`, one after the other and each with its class, as they are written to files: a million need no
        room."""
        labels = self.labels(count, classes=classes)
        start = 0
        for latents in self.latent_parts(count, seed=seed, temperature=temperature):
            some = None if labels is None else labels[start : start + len(latents)]
            start += len(latents)
            pictures = self.files(self.generated(latents, some))
            for number, picture in enumerate(pictures):
                yield picture, None if some is None else self.class_names[int(some[number])]

    def walk(
        self,
        count: int,
        *,
        steps: int = 10,
        seed: int = 0,
        temperature: float = 1.0,
        classes: Sequence[str] = (),
        closed: bool = False,
    ) -> list[Image.Image]:
        """Images from one drawn latent to the next by spherical interpolation, each path within one class.

        Args:
            count: Interpolations.
            steps: Images of each.
            seed: Of the latents.
            temperature: Of the latents.
            classes: As for `sample`.
            closed: Each way starts where the one before ended, and the last ends where the first began, without
                showing those twice; for a video. Classes then do not change: the first of them is taken.

        Returns:
            ``count * steps`` images.

        Raises:
            InferenceError: as `sample`.
        """
        ends = self.latents(count if closed else 2 * count, seed=seed, temperature=temperature)
        labels = self.labels(count, classes=(classes or self.class_names)[:1] if closed else classes)
        return self.to_images(self.interpolated(ends, labels, steps=steps, closed=closed))

    def interpolated(self, ends: Tensor, labels: Tensor | None, *, steps: int, closed: bool) -> Tensor:
        """Images [count * steps, C, S, S] interpolated between latents, given as `along` takes them; one class each."""
        if labels is not None:
            labels = labels.repeat_interleave(steps)
        return self.generated(slerp_path(ends, steps=steps, closed=closed), labels)

"""What all recipes share whose generator makes images of random numbers: labels, sample grids, scores, files.

Shapes: N batch, C channels, S side, D latents.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.config.base import ConfigError
from translate.config.networks import LatentGeneratorConfig
from translate.config.training import ImageSetConfig, Precision
from translate.config.weights import Domains, WeightsConfig
from translate.data.image_set import ImageSet
from translate.inference.device import autocast
from translate.metrics.sliced_wasserstein import sliced_wasserstein
from translate.networks.modes import evaluating
from translate.recipes.base import Batch, Exported, Recipe, Scratch, Watched, preprocessing

MOST_COLUMNS = 10  # of a sample grid


class SamplingConfig(Protocol):
    """What the configurations of such recipes have in common."""

    @property
    def data(self) -> ImageSetConfig: ...
    @property
    def conditional(self) -> bool: ...
    @property
    def latent(self) -> int: ...


class Sampling(Recipe):
    """A generator ``g`` of images from random numbers; a recipe adds a discriminator.

    Args:
        config: The configuration.
        data: The images.

    Attributes:
        class_names: Of a conditional one; empty otherwise.
        network_config: Of the generator; set by the recipe.

    Raises:
        ConfigError: a conditional one without two classes.
    """

    kept = ("seen",)
    command = "sample {} -o OUT.png"
    network_config: LatentGeneratorConfig

    def __init__(self, config: SamplingConfig, data: ImageSet) -> None:
        self.conditional, self.latent, self.data = config.conditional, config.latent, data
        self.class_names = _classes(data) if config.conditional else ()

    @property
    def announcement(self) -> list[str]:
        """What is reported before training starts."""
        unscored = [] if len(self.data.part("val")) else ["no validation images: best/ is not kept (--hold-out 0.05)"]
        if not self.conditional:
            return unscored
        counts = zip(self.class_names, self.data.class_counts, strict=True)
        lonely = [name for name, count in counts if count == 1]
        heart = [f"class {', '.join(lonely)} has one image, which will be memorised"] if lonely else []
        return [*unscored, *heart]

    def _labels(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.conditional else None

    @property
    def made_size(self) -> int:
        """Side of the images that are made now."""
        return self.data.size

    def _made(self, network: nn.Module, count: int, *, labels: Tensor | None, device: torch.device) -> Tensor:
        """Images of fixed latents, [count, C, S, S]."""
        generator = torch.Generator().manual_seed(self.run.seed)
        latents = torch.randn(count, self.latent, generator=generator).to(device)
        with evaluating(network), torch.inference_mode():
            return network(latents, labels).float()

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """A column for each class, or three of no class; always of the same latents."""
        real = batch["images"]
        rows = len(real)
        headings = self.class_names[:MOST_COLUMNS] or ("sample 1", "sample 2", "sample 3")
        count = rows * len(headings)
        labels = None
        if self.conditional:
            labels = torch.arange(len(headings), device=real.device).repeat_interleave(rows)
        with autocast(precision, real.device):
            made = self._made(nets["g"], count, labels=labels, device=real.device)
        made = F.interpolate(made, size=real.shape[2:], mode="nearest") if made.shape[2:] != real.shape[2:] else made
        return {"real": real, **dict(zip(headings, made.split(rows), strict=True))}

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """The sliced Wasserstein distance of as many samples from the validation images: no network is needed."""
        real = batch["images"]
        made = self._made(nets["g"], len(real), labels=self._labels(batch), device=real.device)
        if made.shape[2:] != real.shape[2:]:
            made = F.interpolate(made, size=real.shape[2:], mode="bilinear", align_corners=False)
        return {"sliced_wasserstein": sliced_wasserstein(made, real)}

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        """What the generator made in a step, for the detectors."""
        if "seen" not in scratch:
            return {}
        return {"g": Watched(output=scratch["seen"], target=batch["images"])}

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        config = WeightsConfig(
            kind="generator",
            name=self.run.out.resolve().name,
            network=self.network_config,
            preprocessing=preprocessing(self.made_size, source=self.data.format, alpha=self.data.config.alpha),
            domains=Domains(source="random numbers", target="images"),
            noise="never",
            classes=self.class_names,
        )
        return {".": ("g", config)}


def _classes(data: ImageSet) -> tuple[str, ...]:
    names = data.class_names
    if not names:
        raise ConfigError(
            f"{data.config.root} has no labels, which --conditional needs: put the images into one folder per class, "
            "give idx or .npz files with labels, --attribute for CelebA, --label-column of a .csv that has several, or "
            "omit --conditional"
        )
    counts = data.class_counts
    if sum(count > 0 for count in counts) < 2:
        raise ConfigError(f"{data.config.root} has only one class: omit --conditional")
    if missing := [name for name, count in zip(names, counts, strict=True) if not count]:
        raise ConfigError(
            f"{data.config.root} has no training images of class {missing[0]!r}: add some, or name the others with "
            "--classes"
        )
    return names

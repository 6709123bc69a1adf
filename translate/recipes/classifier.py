"""Classification of whole images by a small network: by class, by quarter turn, or by domain.

Scores stand on it: what generated images are taken for, and how far they are from real ones in its features. Where
there are no labels, it learns by how many quarter turns an image was rotated (Gidaris et al., 2018), for which it must
know what is in it. Of two domains every step sees as many images of each; colours are changed a little and labels
smoothed (Szegedy et al., 2016), so that it leans less on what a few hundred images have in common, and distorted images
are a class of their own: a network that knows nothing but its domains assigns noise to one of them.

Shapes: N batch, C channels, S side, K classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.base import ConfigError
from translate.config.classifiers import DomainClassifierConfig, ImageClassifierConfig
from translate.config.networks import ClassifierNetworkConfig
from translate.config.training import Precision
from translate.config.weights import Domains, Preprocessing, WeightsConfig
from translate.data.augment import diff_augment
from translate.data.batches import jitter_colour
from translate.data.distort import distort
from translate.data.image_set import ImageSet
from translate.data.unpaired import UnpairedImages
from translate.inference.device import autocast
from translate.networks import Classifier, initialise
from translate.networks.modes import evaluating
from translate.recipes.base import Batch, Exported, Recipe, Scratch, Update, adamw, preprocessing

TURNS = ("upright", "a quarter turn", "upside down", "three quarter turns")
NO_CLASS = "none of them"
"""What the class of distorted images is called; the last one, where it is there."""
SURE = 0.9  # probability


class Classification(Recipe):
    """What both recipes share: network ``c`` makes logits [N, K] from images, and learns by cross-entropy.

    Args:
        config: The configuration.
        class_names: In the order of the logits.
        in_channels: Of the images.
        size: Side of the squares that it sees.
    """

    command = "info {}"

    def __init__(
        self,
        config: ImageClassifierConfig | DomainClassifierConfig,
        *,
        class_names: Sequence[str],
        in_channels: int,
        size: int,
    ) -> None:
        self.config, self.run, self.class_names = config, config.run, tuple(class_names)
        self.network_config = ClassifierNetworkConfig(
            in_channels=in_channels,
            num_classes=len(self.class_names),
            size=size,
            width=config.width,
            num_features=config.num_features,
            norm=config.norm,
            dropout=config.dropout,
        )
        self.c = Classifier(self.network_config)
        initialise(self.c, kind=config.run.init)
        self.nets = {"c": self.c}
        self.ema_nets = ("c",) if config.run.ema_half_life else ()
        self.updates = (Update(name="c", optimizer="c", trains=("c",), losses=(self.loss,)),)

    @abstractmethod
    def examples(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images [N, C, S, S] of a training batch, changed at random, and their classes, int64 [N]."""

    @property
    @abstractmethod
    def preprocessing(self) -> Preprocessing:
        """How its weights say that images are read."""

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam with weight decay, at the full learning rate."""
        return {"c": adamw(self.c.parameters(), self.run, weight_decay=self.config.weight_decay)}

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Cross-entropy with label smoothing."""
        images, labels = self.examples(batch)
        logits = self.c(images).float()
        return {"cross_entropy": F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)}

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        config = WeightsConfig(
            kind="classifier",
            name=self.run.out.resolve().name,
            network=self.network_config,
            preprocessing=self.preprocessing,
            domains=Domains(source="images", target="turns" if self.class_names == TURNS else "classes"),
            noise="never",
            classes=self.class_names,
        )
        return {".": ("c", config)}


class ImageClassification(Classification):
    """Of the images of a set, by class or by quarter turn.

    Args:
        config: The configuration.
        data: The images, with labels unless it learns turns.

    Raises:
        ConfigError: there are no labels, or fewer than two classes.
    """

    def __init__(self, config: ImageClassifierConfig, data: ImageSet) -> None:
        self.data, self.augment = data, config.augment
        self.turns = config.task == "rotations"
        names = TURNS if self.turns else data.class_names
        if len(names) < 2:
            what = "one class" if names else "no labels"
            raise ConfigError(
                f"{config.data.root} has {what}: put the images into one folder per class, give idx or .npz files with "
                "labels, or use --task rotations"
            )
        super().__init__(config, class_names=names, in_channels=data.format.channels, size=max(16, data.size))

    def examples(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images as they are, or as many of each turn."""
        images = diff_augment(batch["images"], self.augment)
        if not self.turns:
            return images, batch["label"]
        turns = torch.arange(len(images), device=images.device) % len(TURNS)
        return turned(images, turns), turns

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """The images, and those of them that it is sure of; the others are dimmed."""
        images = batch["images"]
        sure = _logits(nets["c"], images, precision=precision).softmax(dim=1).amax(dim=1) > SURE
        return {"image": images, "sure": _dimmed(images, lit=sure)}

    @property
    def preprocessing(self) -> Preprocessing:
        """As the set's images are framed."""
        return preprocessing(self.data.size, source=self.data.format, alpha=self.data.config.alpha)


class DomainClassification(Classification):
    """Of the images of two domains, and of distorted ones, which belong to neither.

    Args:
        config: The configuration.
        data: The domains; their batches have a tensor for each.
    """

    def __init__(self, config: DomainClassifierConfig, data: UnpairedImages) -> None:
        self.data, self.colour_jitter, self.outliers = data, config.colour_jitter, config.outliers
        self.domains = {"a": data.name_a, "b": data.name_b}
        """Their names by the batch's tensors, in the order of the logits."""
        super().__init__(
            config,
            class_names=(*self.domains.values(), *([NO_CLASS] if config.outliers else [])),
            in_channels=max(data.format_a.channels, data.format_b.channels),
            size=data.size,
        )

    def _real(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images of both domains, grey ones repeated where others are RGB, and the numbers of their domains."""
        images = [batch[key].expand(-1, self.network_config.in_channels, -1, -1) for key in self.domains]
        counts = torch.tensor([len(rows) for rows in images], device=images[0].device)
        numbers = torch.arange(len(images), device=images[0].device)
        total = sum(len(rows) for rows in images)
        return torch.cat(images), numbers.repeat_interleave(counts, output_size=total)

    def examples(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images of both domains in other colours, and some of them distorted."""
        images, labels = self._real(batch)
        if self.colour_jitter:
            factors = (2 * torch.rand(len(images), 3, device=images.device) - 1) * self.colour_jitter
            images = jitter_colour(images, factors)
        if count := round(len(images) * self.outliers):
            chosen = torch.randperm(len(images), device=images.device)[:count]
            images = torch.cat([images, distort(images[chosen])])
            labels = torch.cat([labels, torch.full_like(labels[:count], len(self.domains))])
        return images, labels

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """A column for each domain; images that are assigned to another are dimmed."""
        images, labels = self._real(batch)
        right = _logits(nets["c"], images, precision=precision).argmax(dim=1) == labels
        return dict(zip(self.domains.values(), _dimmed(images, lit=right).chunk(len(self.domains)), strict=True))

    @property
    def preprocessing(self) -> Preprocessing:
        """As both domains are framed."""
        return preprocessing(self.data.size, source=self.data.format_a)


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Images [N, C, S, S] rotated by so many quarter turns each, int64 [N]."""
    all_turns = torch.stack([images.rot90(number, dims=(2, 3)) for number in range(len(TURNS))])  # [4, N, C, S, S]
    return all_turns[turns, torch.arange(len(images), device=images.device)]


def _logits(network: nn.Module, images: Tensor, *, precision: Precision) -> Tensor:
    with evaluating(network), torch.inference_mode(), autocast(precision, images.device):
        return network(images)


def _dimmed(images: Tensor, *, lit: Tensor) -> Tensor:
    """Images [N, C, S, S], a quarter as bright where ``lit``, bool [N], is false."""
    return torch.where(lit.view(-1, 1, 1, 1), images, (images + 1) * 0.25 - 1)

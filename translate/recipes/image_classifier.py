"""Classification of whole images: a small network trained by cross-entropy, on classes or on quarter turns.

Scores of generated images are taken in its features, and by what it calls them. Where there are no labels, it learns by
how many quarter turns an image was rotated (Gidaris et al., 2018), for which it must know what is in it.

Shapes: N batch, C channels, S side, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.base import ConfigError
from translate.config.classifiers import ImageClassifierConfig
from translate.config.networks import ClassifierNetworkConfig
from translate.config.training import Precision
from translate.config.weights import Domains, WeightsConfig
from translate.data.augment import diff_augment
from translate.data.image_set import ImageSet
from translate.inference.device import autocast
from translate.networks import Classifier, initialise
from translate.networks.modes import evaluating
from translate.recipes.base import Batch, Exported, Recipe, Scratch, Update, adamw, preprocessing

TURNS = ("upright", "a quarter turn", "upside down", "three quarter turns")


class ImageClassification(Recipe):
    """The recipe; network ``c`` makes logits [N, K] from images.

    Args:
        config: The configuration.
        data: The images, with labels unless it learns turns.

    Raises:
        ConfigError: there are no labels, or fewer than two classes.
    """

    command = "info {}"

    def __init__(self, config: ImageClassifierConfig, data: ImageSet) -> None:
        self.config, self.run, self.data = config, config.run, data
        self.turns = config.task == "rotations"
        self.class_names = TURNS if self.turns else data.class_names
        if len(self.class_names) < 2:
            what = "one class" if self.class_names else "no labels"
            raise ConfigError(
                f"{config.data.root} has {what}: put the images into one folder per class, give idx or .npz files with "
                "labels, or use --task rotations"
            )
        self.network_config = ClassifierNetworkConfig(
            in_channels=data.format.channels,
            num_classes=len(self.class_names),
            size=max(16, data.size),
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

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        return {"c": adamw(self.c.parameters(), self.run, weight_decay=self.config.weight_decay)}

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Cross-entropy over classes or quarter turns, with label smoothing."""
        images = diff_augment(batch["images"], self.config.augment)
        if self.turns:
            turns = torch.arange(len(images), device=images.device) % len(TURNS)
            images, labels = turned(images, turns), turns
        else:
            labels = batch["label"]
        logits = self.c(images).float()
        return {"cross_entropy": F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)}

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """The images, and those of them that it is sure of, at least nine tenths; the others are dimmed."""
        network, images = nets["c"], batch["images"]
        with evaluating(network), torch.inference_mode(), autocast(precision, images.device):
            sure = network(images).softmax(dim=1).amax(dim=1) > 0.9
        return {"image": images, "sure": torch.where(sure.view(-1, 1, 1, 1), images, (images + 1) * 0.25 - 1)}

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        config = WeightsConfig(
            kind="classifier",
            name=self.run.out.resolve().name,
            network=self.network_config,
            preprocessing=preprocessing(self.data.size, source=self.data.format, alpha=self.data.config.alpha),
            domains=Domains(source="images", target="turns" if self.turns else "classes"),
            noise="never",
            classes=self.class_names,
        )
        return {".": ("c", config)}


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Images [N, C, S, S] rotated by so many quarter turns each, int64 [N]."""
    all_turns = torch.stack([images.rot90(number, dims=(2, 3)) for number in range(len(TURNS))])  # [4, N, C, S, S]
    return all_turns[turns, torch.arange(len(images), device=images.device)]

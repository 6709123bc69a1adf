"""Classification: a small network that tells domains apart, trained by cross-entropy.

Scores of translated images stand on it: whether an output is seen as the target domain, and how far the outputs are
from real images in its features. Every step sees as many images of each class, whatever the counts. Colours are changed
a little and labels smoothed (Szegedy et al., 2016), so that it leans less on what a few hundred images have in common.
Distorted images are a class of their own: a network that knows nothing but its domains puts noise into one of them.

Shapes: N batch, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.networks import ClassifierNetworkConfig
from translate.config.training import ClassifierConfig, Precision
from translate.config.weights import Domains, WeightsConfig
from translate.data.batches import jitter_colour
from translate.data.distort import distort
from translate.data.unpaired import UnpairedImages
from translate.inference.device import autocast
from translate.networks import Classifier, initialise
from translate.networks.modes import evaluating
from translate.recipes.base import Batch, Exported, Recipe, Scratch, Update, adamw, preprocessing

NO_CLASS = "none of them"
"""What the class of distorted images is called; the last one, where it is there."""


class Classification(Recipe):
    """The recipe; network ``c`` makes logits [N, K] from images.

    Args:
        config: The configuration.
        data: The domains; their batches have a tensor for each class.
    """

    def __init__(self, config: ClassifierConfig, data: UnpairedImages) -> None:
        self.config, self.run, self.data = config, config.run, data
        self.classes = {"a": data.name_a, "b": data.name_b}
        """The names of the classes by the batch's tensors, in the order of the logits."""
        self.network_config = ClassifierNetworkConfig(
            in_channels=max(data.format_a.channels, data.format_b.channels),
            num_classes=len(self.classes) + bool(config.outliers),
            size=data.size,
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

    def _examples(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images of all classes, grey ones repeated where others are RGB, and the numbers of their classes."""
        images = [batch[key].expand(-1, self.network_config.in_channels, -1, -1) for key in self.classes]
        counts = torch.tensor([len(rows) for rows in images], device=images[0].device)
        numbers = torch.arange(len(images), device=images[0].device)
        total = sum(len(rows) for rows in images)
        return torch.cat(images), numbers.repeat_interleave(counts, output_size=total)

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Cross-entropy over the two domains, and the class of distorted images where there is one."""
        images, labels = self._examples(batch)
        if self.config.colour_jitter:
            factors = (2 * torch.rand(len(images), 3, device=images.device) - 1) * self.config.colour_jitter
            images = jitter_colour(images, factors)
        if count := round(len(images) * self.config.outliers):
            chosen = torch.randperm(len(images), device=images.device)[:count]
            images = torch.cat([images, distort(images[chosen])])
            labels = torch.cat([labels, torch.full_like(labels[:count], len(self.classes))])
        logits = self.c(images).float()
        return {"cross_entropy": F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)}

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """A column for each class; images that are taken for another class are dimmed."""
        network = nets["c"]
        images, labels = self._examples(batch)
        with evaluating(network), torch.inference_mode(), autocast(precision, images.device):
            right = network(images).argmax(dim=1) == labels
        shown = torch.where(right.view(-1, 1, 1, 1), images, (images + 1) * 0.25 - 1)
        return dict(zip(self.classes.values(), shown.chunk(len(self.classes)), strict=True))

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        config = WeightsConfig(
            kind="classifier",
            name=self.run.out.resolve().name,
            network=self.network_config,
            preprocessing=preprocessing(self.data.size, source=self.data.format_a),
            domains=Domains(source="images", target="classes"),
            noise="never",
            classes=(*self.classes.values(), *([NO_CLASS] if self.config.outliers else [])),
        )
        return {".": ("c", config)}

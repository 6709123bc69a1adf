"""The label score: do generated photos show what their label maps ask for?

As the FCN score of pix2pix (Isola et al., 2017, section 3.2): a segmentation network learned on real photos names the
classes of generated ones, and is compared with the label maps they were made from. Its score on the real photos is what
can be reached; that of the mean training photo, and of the training photo whose label map is nearest, is what costs
nothing.

Shapes: N photos, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.checkpoint.files import WeightsError
from translate.config.training import Precision
from translate.config.weights import WeightsConfig
from translate.inference.running import run_network
from translate.metrics import confusion_matrix, mean_class_accuracy, mean_class_iou, pixel_accuracy
from translate.recipes.segmentation import nearest_class, to_palette

NEIGHBOUR_SIZE = 64  # side in pixels at which label maps are compared


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """Shares from 0 to 1, each with a 95 % interval from resampling the photos."""

    pixel_accuracy: float
    class_accuracy: float
    class_iou: float
    intervals: dict[str, tuple[float, float]]


class LabelScorer:
    """Scores photos against the label maps that they should show.

    Args:
        network: A segmenter trained on real photos.
        config: What its weights say.
        palette: Colour of each class in the label maps, 0 to 255, in the order of the segmenter's classes.
        precision: Of the network's arithmetic.

    Raises:
        WeightsError: the weights are no segmenter's, or have another number of classes.
    """

    def __init__(
        self,
        network: nn.Module,
        config: WeightsConfig,
        *,
        palette: Sequence[tuple[int, int, int]],
        precision: Precision = "fp32",
    ) -> None:
        if config.kind != "segmenter":
            raise WeightsError(f"'{config.name}' is a {config.kind}: the label score needs a segmenter")
        if len(palette) != len(config.classes):
            raise WeightsError(f"'{config.name}' has {len(config.classes)} classes, and the palette has {len(palette)}")
        self.network, self.config, self.precision = network, config, precision
        self.palette = to_palette(tuple(palette))

    def classes(self, label_maps: Tensor) -> Tensor:
        """The class of every pixel of label maps [N, 3, H, W] in [-1, 1], as int64 [N, H, W]."""
        return nearest_class(label_maps, self.palette)

    def predict(self, photos: Tensor) -> Tensor:
        """The classes that the network sees in photos [N, 3, H, W] in [-1, 1], as int64 [N, H, W]."""
        rows = [run_network(self.network, photo, precision=self.precision).argmax(dim=1) for photo in photos.split(1)]
        return torch.cat(rows)

    def score(self, photos: Tensor, label_maps: Tensor, *, seed: int = 0) -> LabelScore:
        """Score photos against the label maps they should show, both [N, 3, H, W] in [-1, 1]."""
        predicted, wanted = self.predict(photos), self.classes(label_maps)
        matrices = torch.stack(
            [
                confusion_matrix(seen, asked, num_classes=len(self.palette))
                for seen, asked in zip(predicted, wanted, strict=True)
            ]
        )
        return summarise(matrices, seed=seed)


def summarise(matrices: Tensor, *, seed: int = 0, num_resamples: int = 1000) -> LabelScore:
    """Scores of all photos together, from a confusion matrix each.

    Args:
        matrices: int64 [N, K, K], rows wanted, columns seen.
        seed: Of the bootstrap.
        num_resamples: Times that the photos are drawn anew, with replacement.
    """
    measures = {"pixel_accuracy": pixel_accuracy, "class_accuracy": mean_class_accuracy, "class_iou": mean_class_iou}
    values = {name: float(measure(matrices.sum(dim=0))) for name, measure in measures.items()}
    draws = np.random.default_rng(seed).integers(0, len(matrices), (num_resamples, len(matrices)))
    resampled = [matrices[torch.from_numpy(draw)].sum(dim=0) for draw in draws]
    intervals = {}
    for name, measure in measures.items():
        low, high = np.quantile([float(measure(matrix)) for matrix in resampled], [0.025, 0.975])
        intervals[name] = (float(low), float(high))
    return LabelScore(**values, intervals=intervals)


def nearest_by_labels(classes: Tensor, references: Tensor) -> Tensor:
    """For each label map, the reference that agrees with it at most pixels.

    Args:
        classes: int64 [N, H, W].
        references: int64 [M, H, W].

    Returns:
        int64 [N], numbers of references.
    """

    def small(maps: Tensor) -> Tensor:
        resized = F.interpolate(maps[:, None].float(), size=(NEIGHBOUR_SIZE, NEIGHBOUR_SIZE), mode="nearest")
        return resized[:, 0].to(torch.uint8).flatten(1)

    known = small(references)
    return torch.stack([(known == wanted).float().mean(dim=1).argmax() for wanted in small(classes)])

"""Segmentation: a U-Net that names the class of every pixel, trained by cross-entropy.

It is what the label score is measured with (the FCN score of Isola et al., 2017): learned on real photos, applied to
generated ones. The classes come from label maps whose colours are snapped to the nearest of a palette, since maps kept
as JPEG are never exact.

Shapes: N batch, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.base import ConfigError
from translate.config.networks import UNetConfig
from translate.config.training import Precision, SegmentationConfig
from translate.config.weights import Domains, WeightsConfig
from translate.data.paired import PairedImages
from translate.inference.grid import class_palette, in_class_colours
from translate.inference.running import run_network
from translate.networks import UNetGenerator, initialise
from translate.recipes.base import Batch, Exported, Recipe, Scratch, Update, adam, preprocessing


def to_palette(palette: tuple[tuple[int, int, int], ...]) -> Tensor:
    """Colours 0 to 255 as [K, 3] in [-1, 1]."""
    return torch.tensor(palette, dtype=torch.float32) / 127.5 - 1


def nearest_class(images: Tensor, palette: Tensor) -> Tensor:
    """The number of the nearest colour (Euclidean, in RGB) of every pixel.

    Args:
        images: [N, 3, H, W] in [-1, 1].
        palette: [K, 3] in [-1, 1].

    Returns:
        int64 [N, H, W].
    """
    # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 is the same for all classes.
    scores = torch.einsum("nchw,kc->nkhw", images.float(), palette) - palette.square().sum(1).view(1, -1, 1, 1) / 2
    return scores.argmax(dim=1)


class Segmentation(Recipe):
    """The recipe; network ``g`` makes logits [N, K, H, W] from the source.

    Args:
        config: The configuration, with the palette.
        data: The pairs; targets are label maps.

    Raises:
        ConfigError: the label maps are not RGB, or the size does not suit the network.
    """

    @classmethod
    def open_data(cls, config: SegmentationConfig, *, cache: Path | None = None) -> PairedImages:
        """The data that this method learns from."""
        return PairedImages(config.data, cache=cache, nearest_target=True)

    def __init__(self, config: SegmentationConfig, data: PairedImages) -> None:
        self.config, self.run, self.data = config, config.run, data
        self.labels = data.target_format.labels
        if not self.labels and data.target_format.channels != 3:
            raise ConfigError(
                f"the label maps of {config.data.root} have {data.target_format.channels} channels, and --palette has "
                "three: give --labels where they hold class ids, save them as RGB, or choose the other --direction"
            )
        if self.labels and config.class_names and len(config.class_names) != self.labels:
            raise ConfigError(
                f"--class-names has {len(config.class_names)} names, and the label maps have {self.labels} classes"
            )
        self.unet_config = UNetConfig(
            in_channels=data.source_format.channels,
            out_channels=self.labels or len(config.palette),
            width=config.width,
            depth=config.depth,
            norm=config.norm,
            upsampling="nearest",  # enough for classes, and the cheapest
            dropout=config.dropout,
            output="logits",
        )
        g = UNetGenerator(self.unet_config)
        initialise(g, kind=config.run.init)
        data.check_size(stride=g.stride, minimum=g.minimum_size)
        self.nets = {"g": g}
        self.ema_nets = ("g",) if config.run.ema_half_life else ()
        self.palette = class_palette(self.labels) if self.labels else to_palette(config.palette)
        self.updates = (Update(name="g", optimizer="g", trains=("g",), losses=(self.loss,)),)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        return {"g": adam(self.nets["g"].parameters(), self.run)}

    def _on(self, device: torch.device) -> Tensor:
        self.palette = self.palette.to(device)
        return self.palette

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Cross-entropy over the classes of every pixel."""
        return {"cross_entropy": F.cross_entropy(self.nets["g"](batch["source"]).float(), self._classes(batch))}

    def _classes(self, batch: Batch) -> Tensor:
        """The class of every pixel of the targets, int64 [N, H, W]; -100, which is not counted, where it has none."""
        target = batch["target"]
        if not self.labels:
            return nearest_class(target, self._on(target.device))
        highest, classes = target.max(dim=1)
        return classes.masked_fill(highest < 0, -100)

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Columns of a sample grid, [N, C, S, S] in [-1, 1]."""
        logits = run_network(nets["g"], batch["source"], precision=precision)
        palette = self._on(logits.device)
        colours = palette[logits.argmax(dim=1)].permute(0, 3, 1, 2)
        target = in_class_colours(batch["target"]) if self.labels else batch["target"]
        return {"input": batch["source"], "classes": colours, "target": target}

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Cross-entropy on the validation split."""
        logits = [run_network(nets["g"], image, precision=precision) for image in batch["source"].split(1)]
        return {"cross_entropy": F.cross_entropy(torch.cat(logits), self._classes(batch))}

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        config = WeightsConfig(
            kind="segmenter",
            name=self.run.out.resolve().name,
            network=self.unet_config,
            preprocessing=preprocessing(self.data.size, source=self.data.source_format),
            domains=Domains(source=self.data.source_name, target=self.data.target_name),
            classes=self.config.class_names or tuple(map(str, range(self.labels))),
        )
        return {".": ("g", config)}

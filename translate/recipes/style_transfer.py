"""Style transfer: one generator that paints photographs in many styles (Johnson et al., 2016; Dumoulin et al., 2017).

The teacher is a frozen classifier: a photograph and what is painted of it should have like features at the same places
(content), and a painting and what is painted like it should have features that occur together as often (style, by Gram
matrices). Differs from the papers in its teacher (EfficientNet-Lite0 for VGG16: a tenth of the time), in that each
layer's distance is relative, and in that a style has a strength, as Babaeizadeh and Ghiasi (2018) have it: the code
times s asks for s times the style and otherwise for the photograph itself.

Shapes: N batch, H height, W width, C channels, D code, K styles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.blocks.keyed import keyed_uniform
from translate.checkpoint.pretrained import pretrained_features
from translate.config.base import ConfigError
from translate.config.networks import ConditionalResNetConfig
from translate.config.style_transfer import StyleTransferConfig
from translate.config.training import Precision
from translate.config.weights import Domains, WeightsConfig
from translate.data.image_set import ImageSet
from translate.data.style_images import Style, find_styles, read_style
from translate.inference.translator import run_network
from translate.losses import content_distances, gram, style_distances, total_variation
from translate.networks import ConditionalResNet, initialise
from translate.recipes.base import Batch, Exported, Recipe, Scratch, Update, Watched, adam, preprocessing

STYLE_BLOCKS = (-1, 1, 3, 5, 8)
CONTENT_BLOCKS = (4,)
FULL = 0.6  # share of the images that are painted at full strength
LEAST_SIDE = 32  # of the photographs' crops: below, the deepest features that are compared have a few pixels
SHOWN = 6  # styles in a sample grid


class StyleTransfer(Recipe):
    """The recipe; network ``g``.

    Args:
        config: The configuration.
        data: Photographs, RGB.

    Raises:
        ConfigError: the photographs are not RGB, or pretrained features are not installed.
        LayoutError: there are no styles, or one cannot be used.
    """

    name = "style"
    command = "apply {} PHOTO -o OUT --style NAME"

    def __init__(self, config: StyleTransferConfig, data: ImageSet) -> None:
        self.config, self.run, self.data = config, config.run, data
        if data.format.channels != 3 or data.format.encoding is not None:
            raise ConfigError(f"{config.data.root}: style transfer is for photographs in RGB")
        self.styles = find_styles(config.styles)
        self.teacher = pretrained_features(border="reflect")
        self.targets = self._grams(self.styles)
        self.network = ConditionalResNetConfig(
            widths=config.widths, num_blocks=config.num_blocks, code=config.code, num_styles=len(self.styles)
        )
        self.g = ConditionalResNet(self.network)
        codes = self.g.codes.detach().clone()
        initialise(self.g, kind=config.run.init)
        self.g.codes.data.copy_(codes)
        data.check_size(stride=self.g.stride, minimum=LEAST_SIDE)
        self.nets = {"g": self.g}
        self.ema_nets = ("g",) if config.run.ema_half_life else ()
        self.updates = (Update(name="g", optimizer="g", trains=("g",), losses=(self.loss,)),)

    @torch.no_grad()
    def _grams(self, styles: Sequence[Style]) -> list[Tensor]:
        """For each layer the Gram matrices [K, C, C]: of a style of several images their mean."""
        rows = []
        for style in styles:
            found = []
            for file in style.files:
                pixels = torch.from_numpy(read_style(file, size=self.config.style_size).copy())
                image = pixels.permute(2, 0, 1)[None].float() / 127.5 - 1
                found.append([gram(layer) for layer in self.teacher.maps(image, wide=STYLE_BLOCKS)])
            rows.append([torch.cat(layers).mean(dim=0) for layers in zip(*found, strict=True)])
        return [torch.stack(layers) for layers in zip(*rows, strict=True)]

    @property
    def announcement(self) -> list[str]:
        names = [style.name for style in self.styles]
        count = f"{len(names)} style{'s' * (len(names) != 1)}"
        return [f"{count}: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"]

    def optimizers(self) -> dict[str, Optimizer]:
        return {"g": adam(self.g.parameters(), self.run)}

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        if "made" not in scratch:
            return {}
        return {"g": Watched(source=batch["images"], output=scratch["made"])}

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        images = batch["images"]
        draws = keyed_uniform(scratch["keys"], 3)
        chosen = (draws[:, 0] * len(self.styles)).long().clamp(max=len(self.styles) - 1)
        strength = torch.where(draws[:, 1] < FULL, 1.0, draws[:, 2])
        made = self.g(images, self.g.codes[chosen] * strength[:, None])
        scratch["made"] = made.detach()
        style, content = self._distances(made, images, chosen)
        config = self.config
        return {
            "style": config.style_weight * (strength * style).mean(),
            "content": config.content_weight * content.mean(),
            "photo": ((1 - strength) * (made.float() - images).abs().mean(dim=(1, 2, 3))).mean(),
            "smoothness": config.smoothness_weight * total_variation(made).mean(),
        }

    def _distances(self, made: Tensor, images: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Of what was made to its styles, and to the photographs: [N] each."""
        device = images.device
        teacher = self.teacher.to(device)
        self.targets = [target.to(device) for target in self.targets]
        with torch.no_grad():
            photo = teacher.maps(images.float(), narrow=CONTENT_BLOCKS)
        maps = teacher.maps(made.float(), wide=STYLE_BLOCKS, narrow=CONTENT_BLOCKS)
        wide, narrow = maps[: len(STYLE_BLOCKS)], maps[len(STYLE_BLOCKS) :]
        return style_distances(wide, [target[chosen] for target in self.targets]), content_distances(narrow, photo)

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        step = -(-len(self.styles) // SHOWN)
        columns = {"photo": batch["images"]}
        for number in range(0, len(self.styles), step):
            columns[self.styles[number].name] = self._painted(nets["g"], batch["images"], number, precision=precision)
        return columns

    def _painted(self, g: nn.Module, images: Tensor, number: int, *, precision: Precision) -> Tensor:
        assert isinstance(g, ConditionalResNet)
        code = g.codes.detach()[number : number + 1]
        return torch.cat([run_network(g, image, code=code, precision=precision) for image in images.split(1)])

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Distances at full strength, each image in one style, the styles in turn."""
        images = batch["images"]
        numbers = [place % len(self.styles) for place in range(len(images))]
        made = torch.cat(
            [
                self._painted(nets["g"], image, number, precision=precision)
                for image, number in zip(images.split(1), numbers, strict=True)
            ]
        )
        style, content = self._distances(made, images, torch.tensor(numbers, device=images.device))
        return {
            "style": self.config.style_weight * style.mean(),
            "content": self.config.content_weight * content.mean(),
        }

    def exports(self) -> dict[str, Exported]:
        config = WeightsConfig(
            kind="translator",
            name=self.run.out.resolve().name,
            network=self.network,
            preprocessing=preprocessing(self.data.size, source=self.data.format),
            domains=Domains(source="photo", target="painting"),
            noise="never",
            styles=tuple(style.name for style in self.styles),
        )
        return {".": ("g", config)}

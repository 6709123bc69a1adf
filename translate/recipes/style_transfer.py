"""Style transfer: one generator that paints photographs in many styles (Johnson et al., 2016; Dumoulin et al., 2017).

The teacher is a frozen classifier: a photograph and what is painted of it should have like features at the same places
(content), and a painting and what is painted like it should have features that occur together as often (style, by Gram
matrices). Differs from the papers in its teacher (EfficientNet-Lite0 for VGG16: a tenth of the time), in that each
layer's distance is relative, and in that a style has a strength, as Babaeizadeh and Ghiasi (2018) have it: the code
times s asks for s times the style and otherwise for the photograph itself. With --any-style an encoder learns to find
the codes of images (Ghiasi et al., 2017), and each step draws others.

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
from translate.data.style_images import KEPT_IMAGES, Style, StyleImages, find_styles
from translate.inference.running import run_network
from translate.losses import content_distances, gram, style_distances, total_variation
from translate.networks import ConditionalResNet, initialise
from translate.networks.conditional_resnet import STYLE_BLOCKS, CodeEncoder, statistics
from translate.recipes.base import Batch, Exported, Recipe, Scratch, Update, Watched, adam, preprocessing

CONTENT_BLOCKS = (4,)
FULL = 0.6  # share of the images that are painted at full strength
EXAMPLES = 1  # stream of random numbers
LEAST_SIDE = 32  # of the photographs' crops: below, the deepest features that are compared have a few pixels
SHOWN = 6  # styles in a sample grid
SHORT = 20  # letters of a heading at most
FEWEST_STYLES = 20  # that an encoder is learned from


class StyleTransfer(Recipe):
    """The recipe; network ``g``.

    Args:
        config: The configuration.
        data: Photographs, RGB.

    Raises:
        ConfigError: the photographs are not RGB, or pretrained features are not installed.
        LayoutError: there are no styles, or one cannot be used.
    """

    def __init__(self, config: StyleTransferConfig, data: ImageSet) -> None:
        self.config, self.run, self.data = config, config.run, data
        self.command = f"apply {{}} PHOTO -o OUT {'--style-image PAINTING' if config.any_style else '--style NAME'}"
        if data.format.channels != 3 or data.format.encoding is not None:
            raise ConfigError(f"{config.data.root}: style transfer needs RGB photographs")
        styles = find_styles(config.styles)
        if config.any_style:
            files = tuple(file for style in styles for file in style.files)
            if len(files) < FEWEST_STYLES:
                raise ConfigError(
                    f"--any-style needs many images, and {config.styles} has {len(files)}: give at least "
                    f"{FEWEST_STYLES}, preferably hundreds; or omit it, and each of them is a style"
                )
            styles = (Style(name=config.styles.name, files=files),)
        self.images = StyleImages(styles, size=config.style_size, max_bad=config.data.max_bad)
        if config.any_style:
            self.images.split()
        self.styles = self.images.styles
        self.teacher = pretrained_features(border="reflect")
        self.targets = [] if config.any_style else self._grams(self.styles)
        self.network = ConditionalResNetConfig(
            widths=config.widths,
            packed=config.packed,
            num_blocks=config.num_blocks,
            code=config.style_dim,
            num_styles=0 if config.any_style else len(self.styles),
            style_size=config.style_size if config.any_style else 0,
        )
        self.g = ConditionalResNet(self.network)
        codes = self.g.codes.detach().clone()
        initialise(self.g, kind=config.run.init)
        self.g.codes.data.copy_(codes)
        if self.g.encoder is not None:
            self._prepare(self.g.encoder)
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
                image = scaled(self.images.read(file))
                found.append([gram(layer) for layer in self.teacher.maps(image, wide=STYLE_BLOCKS)])
            rows.append([torch.cat(layers).mean(dim=0) for layers in zip(*found, strict=True)])
        return [torch.stack(layers) for layers in zip(*rows, strict=True)]

    @torch.no_grad()
    def _prepare(self, encoder: CodeEncoder) -> None:
        """Give an encoder its features, and what is usual of their statistics."""
        encoder.features.load_state_dict(pretrained_features(num_blocks=len(encoder.features.blocks)).state_dict())
        step = -(-len(self.styles) // KEPT_IMAGES)
        found = torch.cat(
            [
                statistics(self.teacher.maps(scaled(self.images.whole(number)), wide=STYLE_BLOCKS))
                for number in range(0, len(self.styles), step)
            ]
        )
        deviation, mean = torch.std_mean(found, dim=0)
        encoder.centre.copy_(mean)
        encoder.deviation.copy_(deviation.clamp_min(1e-3))

    @property
    def announcement(self) -> list[str]:
        """What is reported before training starts."""
        skipped = [f"skipped: {reason}" for reason in self.images.left_out]
        if self.config.any_style:
            return [*skipped, f"{len(self.styles):,} images of styles"]
        names = [style.name for style in self.styles]
        count = f"{len(names)} style{'s' * (len(names) != 1)}"
        return [*skipped, f"{count}: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"]

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        return {"g": adam(self.g.parameters(), self.run)}

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        """What the generator made in a step, for the detectors."""
        if "made" not in scratch:
            return {}
        return {"g": Watched(source=batch["images"], output=scratch["made"])}

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Style, content and smoothness losses (Johnson et al., 2016) of photographs, each in a style of its own."""
        images = batch["images"]
        draws = keyed_uniform(scratch["keys"], 3)
        chosen = (draws[:, 0] * len(self.styles)).long().clamp(max=len(self.styles) - 1)
        strength = torch.where(draws[:, 1] < FULL, 1.0, draws[:, 2])
        codes, targets = self._wanted(self.g, chosen, keys=scratch["keys"])
        made = self.g(images, codes * strength[:, None])
        scratch["made"] = made.detach()
        style, content = self._distances(made, images, targets)
        config = self.config
        return {
            "style": config.style_weight * (strength * style).mean(),
            "content": config.content_weight * content.mean(),
            "photo": ((1 - strength) * (made.float() - images).abs().mean(dim=(1, 2, 3))).mean(),
            "smoothness": config.smoothness_weight * total_variation(made).mean(),
        }

    def _wanted(
        self, g: ConditionalResNet, chosen: Tensor, *, keys: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Codes [N, D] and Gram matrices [N, C, C] of styles; with an encoder, of the whole image, or of a part of it
        that is drawn by a key."""
        device = chosen.device
        if g.encoder is None:
            self.targets = [target.to(device) for target in self.targets]
            return g.codes[chosen], [target[chosen] for target in self.targets]
        if keys is None:
            whole = [scaled(image) for image in self.images.wholes(chosen)]
        else:
            whole = [scaled(self.images.squares(chosen, keyed_uniform(keys, 3, stream=EXAMPLES)))]
        with torch.no_grad():
            layers = [self.teacher.to(device).maps(images, wide=STYLE_BLOCKS) for images in whole]
            found = torch.cat([statistics(maps) for maps in layers])
            targets = [torch.cat([gram(layer) for layer in same]) for same in zip(*layers, strict=True)]
        return g.encoder.code_of(found), targets

    def _distances(self, made: Tensor, images: Tensor, targets: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Of what was made to its styles, and to the photographs: [N] each."""
        teacher = self.teacher.to(images.device)
        with torch.no_grad():
            photo = teacher.maps(images.float(), narrow=CONTENT_BLOCKS)
        maps = teacher.maps(made.float(), wide=STYLE_BLOCKS, narrow=CONTENT_BLOCKS)
        wide, narrow = maps[: len(STYLE_BLOCKS)], maps[len(STYLE_BLOCKS) :]
        return style_distances(wide, targets), content_distances(narrow, photo)

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Columns of a sample grid, [N, C, S, S] in [-1, 1]."""
        step = -(-len(self.styles) // SHOWN)
        columns = {"photo": batch["images"]}
        for number in range(0, len(self.styles), step):
            painted, _ = self._painted(nets["g"], batch["images"], number, precision=precision)
            name = self.styles[number].name
            columns[name if len(name) <= SHORT else f"{name[: SHORT - 3]}..."] = painted
        return columns

    @torch.no_grad()
    def _painted(
        self, g: nn.Module, images: Tensor, number: int, *, precision: Precision
    ) -> tuple[Tensor, list[Tensor]]:
        """Images in the style of a number, and the Gram matrices of that style."""
        assert isinstance(g, ConditionalResNet)
        code, targets = self._wanted(g, torch.tensor([number], device=images.device))
        painted = [run_network(g, image, code=code, precision=precision) for image in images.split(1)]
        return torch.cat(painted), targets

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Distances at full strength, each image in one style, the styles in turn."""
        images = batch["images"]
        rows = [
            self._painted(nets["g"], image, place % len(self.styles), precision=precision)
            for place, image in enumerate(images.split(1))
        ]
        made = torch.cat([painted for painted, _ in rows])
        targets = [torch.cat(same) for same in zip(*(row for _, row in rows), strict=True)]
        style, content = self._distances(made, images, targets)
        return {
            "style": self.config.style_weight * style.mean(),
            "content": self.config.content_weight * content.mean(),
        }

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        config = WeightsConfig(
            kind="translator",
            name=self.run.out.resolve().name,
            network=self.network,
            preprocessing=preprocessing(self.data.size, source=self.data.format),
            domains=Domains(source="photo", target="painting"),
            noise="never",
            styles=() if self.config.any_style else tuple(style.name for style in self.styles),
        )
        return {".": ("g", config)}


def scaled(pixels: Tensor) -> Tensor:
    """uint8 to float32 in [-1, 1]."""
    return pixels.float() / 127.5 - 1

"""A StyleGAN, ready to use: what any generator can do, and control of its styles.

Styles are those of layers, coarse to fine: [N, L, D]. The first three are of 4 and 8 px (pose, shape), the next four of
16 and 32 px (features, hair), the rest of 64 px and above (colours, texture); StyleGAN (Karras et al., 2019), 3.1.

Shapes: N images, C channels, S side, D latents or style, L layers, K directions.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from translate.blocks.style import LayerNoise, StyledConv
from translate.checkpoint.atomic import written_beside
from translate.config.weights import WeightsConfig
from translate.data.images import Picture
from translate.inference.errors import InferenceError
from translate.inference.generator_model import AT_ONCE, GeneratorModel
from translate.networks import StyleGenerator

LARGEST_PSI = 2.0
FOR_DIRECTIONS = 10_000  # styles whose principal components are taken
STEPS, RATE, RAMP = 300, 0.05, 0.05  # of a projection: steps, learning rate, share of the steps in which it rises
PARTS: dict[str, tuple[int, int | None]] = {"coarse": (0, 3), "middle": (3, 7), "fine": (7, None)}
"""Layers by the names of the paper."""


@dataclass(frozen=True, kw_only=True)
class Projected:
    """What a projection found."""

    styles: Tensor
    """[1, L, D]."""
    image: Image.Image
    """What they make."""
    distance: float
    """At the end, and of the mean style, where it began."""
    began: float


class StyleModel(GeneratorModel):
    """The generator of a StyleGAN, in fp32.

    Args:
        network: Built from ``config.network``.
        config: What the weights say.
        device: cuda, mps, cpu or auto.

    Attributes:
        truncation: How far styles are from the mean, [L]; set by `styled`, as are the others.
        noise: fixed, random or none.
        generator: Of random noise.
        space: z or w, in which images are interpolated.

    Raises:
        InferenceError: the weights are of another kind.
        DeviceError: this machine does not have the device.
    """

    network: StyleGenerator

    def __init__(self, network: nn.Module, config: WeightsConfig, *, device: str = "auto") -> None:
        if not isinstance(network, StyleGenerator):
            raise InferenceError(f"'{config.name}' has no styles: give the weights of translate train stylegan")
        super().__init__(network, config, device=device)
        self.truncation = torch.ones(network.num_layers)
        self.noise: Literal["fixed", "random", "none"] = "fixed"
        self.generator = torch.Generator()
        self.space: Literal["z", "w"] = "z"

    def __repr__(self) -> str:
        return f"StyleModel('{self.config.name}', {self.num_layers} layers, {self.size} px, {self.device})"

    @property
    def num_layers(self) -> int:
        return self.network.num_layers

    def styled(
        self,
        *,
        truncation: float | Sequence[float] = 1.0,
        noise: Literal["fixed", "random", "none"] = "fixed",
        space: Literal["z", "w"] = "z",
        seed: int = 0,
    ) -> StyleModel:
        """The same network under other controls, which all it makes then follows.

        Args:
            truncation: 1 as learned, below for likelier and less varied images, 0 for the mean image, negative for
                its contrary; one for all layers, or one for each.
            noise: ``fixed``, always the same; ``random``, drawn anew; or ``none``.
            seed: Of random noise, which goes on from image to image.
            space: Of interpolations: ``z``, spherical between latents, or ``w``, linear between styles.

        Raises:
            InferenceError: a truncation out of range, or of another number of layers.
        """
        values = [truncation] * self.num_layers if isinstance(truncation, int | float) else list(truncation)
        if len(values) == 1:
            values *= self.num_layers
        if len(values) != self.num_layers:
            raise InferenceError(
                f"{len(values)} truncation values were given, and '{self.config.name}' has {self.num_layers} layers: "
                "give one, or one per layer"
            )
        if wrong := [value for value in values if not -LARGEST_PSI <= value <= LARGEST_PSI]:
            raise InferenceError(f"truncation {wrong[0]:g} is out of range: it is {-LARGEST_PSI:g} to {LARGEST_PSI:g}")
        found = copy.copy(self)
        found.truncation, found.noise, found.space = torch.tensor(values, dtype=torch.float32), noise, space
        found.generator = torch.Generator().manual_seed(seed)
        return found

    # Styles and images

    @torch.inference_mode()
    def styles(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Styles [N, L, D] on the CPU of latents [N, D] and numbers of classes [N], truncated."""
        truncation = self.truncation.to(self.device)
        parts = []
        for start in range(0, len(latents), AT_ONCE):
            chosen = None if labels is None else labels[start : start + AT_ONCE].to(self.device)
            parts.append(
                self.network.styles(
                    latents[start : start + AT_ONCE].to(self.device), chosen, truncation=truncation
                ).cpu()
            )
        return torch.cat(parts)

    def seeded(self, seeds: Sequence[int], *, classes: Sequence[str] = ()) -> Tensor:
        """Styles [N, L, D] of the first image of each seed."""
        latents = torch.cat([self.latents(1, seed=seed) for seed in seeds])
        return self.styles(latents, self.labels(len(seeds), classes=classes))

    @torch.inference_mode()
    def synthesised(self, styles: Tensor) -> Tensor:
        """Images [N, C, S, S], about [-1, 1], on the CPU, of styles [N, L, D].

        Raises:
            InferenceError: styles of another network.
        """
        self.check_styles(styles)
        parts = []
        for part in styles.split(self.at_once):
            noise: LayerNoise = self.noise
            if noise == "random":
                drawn = torch.randn(len(part), self.network.num_noise, generator=self.generator)
                noise = drawn.to(self.device)
            parts.append(self.network.synthesis(part.to(self.device), noise=noise).float().cpu())
        return torch.cat(parts).clamp(-1, 1)

    @property
    def mark(self) -> str:
        """By which the network is known again: a digest of its constant."""
        return hashlib.sha256(self.network.constant.detach().float().cpu().numpy().tobytes()).hexdigest()[:16]

    def check_styles(self, styles: Tensor) -> None:
        """Refuse styles [N, L, D] of another network.

        Raises:
            InferenceError: says which there should be.
        """
        expected = (self.num_layers, self.network.config.style)
        if styles.dim() != 3 or tuple(styles.shape[1:]) != expected:
            raise InferenceError(
                f"styles of shape {list(styles.shape)} are not those of '{self.config.name}', which are "
                f"[N, {expected[0]}, {expected[1]}]: styles of one network cannot be used with another"
            )

    def generated(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.synthesised(self.styles(latents, labels))

    def latent_parts(self, count: int, *, seed: int, temperature: float = 1.0) -> Iterator[Tensor]:
        if temperature != 1.0:
            raise InferenceError(
                f"'{self.config.name}' is a StyleGAN, to which only the direction of its latents matters: use "
                "--truncation instead of --temperature"
            )
        return super().latent_parts(count, seed=seed)

    def interpolated(self, ends: Tensor, labels: Tensor | None, *, steps: int, closed: bool) -> Tensor:
        """As of any generator; in space w straight from one style to the next."""
        if self.space == "z":
            return super().interpolated(ends, labels, steps=steps, closed=closed)
        if labels is not None and not closed:  # both ends of a way are of its class
            labels = labels.repeat_interleave(2)
        return self.synthesised(lerp_path(self.styles(ends, labels), steps=steps, closed=closed))

    def mixed(self, rows: Tensor, columns: Tensor, *, layers: tuple[int, int | None]) -> Tensor:
        """Styles of every pair: those of a column at some layers, those of a row at the others.

        Args:
            rows: Styles [R, L, D].
            columns: Styles [C, L, D].
            layers: From the first on, up to but not with the last; None is the end.

        Returns:
            [R * C, L, D], row by row.

        Raises:
            InferenceError: styles of another network, or layers that there are not.
        """
        for styles in (rows, columns):
            self.check_styles(styles)
        first, last = self.span(layers)
        found = rows[:, None].repeat(1, len(columns), 1, 1)
        found[:, :, first:last] = columns[None, :, first:last]
        return found.flatten(0, 1)

    def span(self, layers: tuple[int, int | None]) -> tuple[int, int]:
        """Those of some layers that there are, from the first up to but not with the last.

        Raises:
            InferenceError: there are none of them.
        """
        first, last = layers[0], self.num_layers if layers[1] is None else min(layers[1], self.num_layers)
        if not 0 <= first < last:
            raise InferenceError(
                f"'{self.config.name}' makes images of {self.size} px in {self.num_layers} layers, numbered from 0: "
                f"there are none from {first} on"
            )
        return first, last

    def truncated(self, styles: Tensor, truncation: Sequence[float]) -> Tensor:
        """Styles [N, L, D] moved towards the mean style, or further away from it, each layer by its own truncation.

        Raises:
            InferenceError: styles of another network, or a truncation out of range or of another number of layers.
        """
        self.check_styles(styles)
        share = self.styled(truncation=truncation).truncation[:, None]
        mean = self.network.mapping.average.detach().cpu()
        return mean + share * (styles - mean)

    # Directions

    def factorised(self, count: int, *, layers: tuple[int, int | None] = (0, None)) -> Tensor:
        """Directions of style that change the most, by the weights alone (SeFa; Shen and Zhou, 2021).

        They are the eigenvectors of A^T A, where the rows of A are what layers make of a style, each of length 1.

        Args:
            count: K.
            layers: Whose weights are looked at.

        Returns:
            [K, D], of length 1.
        """
        stages = self.network.grown_stages()
        convs = [module.conv for stage in stages for module in stage.modules() if isinstance(module, StyledConv)]
        # Of the last layer, which has no other convolution, the one to the image.
        weights = [conv.affine.weight for conv in (*convs, stages[-1].to_image.conv)]
        chosen = torch.cat([F.normalize(weight, dim=1) for weight in weights[slice(*self.span(layers))]])
        return torch.linalg.svd(chosen.detach().float().cpu(), full_matrices=False).Vh[:count]

    def components(self, count: int, *, seed: int = 0) -> Tensor:
        """Principal components of styles (GANSpace; Harkonen et al., 2020): [K, D], each as long as its deviation."""
        latents = self.latents(FOR_DIRECTIONS, seed=seed)
        styles = self.styled().styles(latents, self.labels(FOR_DIRECTIONS))[:, 0]
        centred = styles - styles.mean(dim=0)
        found = torch.linalg.svd(centred, full_matrices=False)
        return found.Vh[:count] * found.S[:count, None] / (len(centred) - 1) ** 0.5

    @staticmethod
    def towards(styles: Tensor, scores: Tensor, *, ridge: float = 1e-2) -> Tensor:
        """The direction in which a score grows, learned from styles that were scored: least squares with a ridge.

        Args:
            styles: [N, D] or [N, L, D], whose mean over layers is taken.
            scores: [N]; of classes 0 and 1, for a labelled set.
            ridge: Share of the mean variance that is added to every variance.

        Returns:
            [D], of length 1.

        Raises:
            InferenceError: fewer than ten styles, or all of one score.
        """
        x = (styles.mean(dim=1) if styles.dim() == 3 else styles).double()
        y = scores.double()
        if len(x) < 10 or float(y.std()) == 0:
            raise InferenceError(f"{len(x)} styles give no direction: at least ten are needed, with different scores")
        x, y = x - x.mean(dim=0), y - y.mean()
        covariance = x.t() @ x / len(x)
        covariance += ridge * covariance.diagonal().mean() * torch.eye(x.shape[1], dtype=x.dtype)
        return F.normalize(torch.linalg.solve(covariance, x.t() @ y / len(x)), dim=0).float()

    def learned(
        self, scores: Callable[[Tensor], dict[str, Tensor]], *, count: int, seed: int = 0, least: float = 0.0
    ) -> dict[str, Tensor]:
        """Directions in which scores of images grow, as `towards` finds them.

        Args:
            scores: [N, C, S, S] in [-1, 1] to scores by their names, [N] each; called for some images at a time.
            count: Images that are scored.
            seed: Of these.
            least: Scores of a smaller deviation are left out.

        Returns:
            [D] each, as long as the styles' deviation along it.

        Raises:
            InferenceError: as `towards`.
        """
        styles = self.styles(self.latents(count, seed=seed), self.labels(count))
        parts = [scores(self.synthesised(part)) for part in styles.split(self.at_once)]
        found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return {
            name: scaled(self.towards(styles, values), styles)
            for name, values in found.items()
            if least == 0 or float(values.std()) >= least
        }

    @staticmethod
    def edited(
        styles: Tensor, direction: Tensor, *, strength: float, layers: tuple[int, int | None] = (0, None)
    ) -> Tensor:
        """Styles [N, L, D] moved along a direction [D] at some layers."""
        found = styles.clone()
        found[:, slice(*layers)] += strength * direction
        return found

    # Projection

    def project(
        self,
        image: Image.Image | Picture,
        *,
        steps: int = STEPS,
        features: Callable[[Tensor], Sequence[Tensor]] | None = None,
        seed: int = 0,
        on_step: Callable[[int, float], None] | None = None,
    ) -> Projected:
        """Styles whose image comes near to a given one, by optimisation from the mean style (w+; Abdal et al., 2019).

        The distance is the mean difference at full size and at each half of it, where it is not of 4 px yet; with
        features, also that of theirs.

        Args:
            image: Of any size; its middle square is taken.
            steps: Of the optimisation.
            features: [N, C, S, S] in [-1, 1] to tensors that are compared, such as those of a classifier.
            seed: Of what is drawn.
            on_step: Called with the step and the distance every tenth step.

        Raises:
            InferenceError: fewer than one step.
        """
        if steps < 1:
            raise InferenceError(f"a projection needs at least 1 step, not {steps}")
        target = self.prepared([image]).to(self.device)
        generator = torch.Generator().manual_seed(seed)
        network = self.network
        with torch.no_grad():
            spread = self.styled().styles(self.latents(1000, seed=seed), self.labels(1000))[:, 0].std(dim=0)
        start = network.mapping.average.detach()[None, None].expand(1, self.num_layers, -1)
        # Offsets in deviations of the styles, so that one learning rate suits all of them.
        offsets = torch.zeros_like(start, memory_format=torch.contiguous_format).requires_grad_()
        scale = spread.to(self.device).clamp_min(1e-6)
        optimizer = torch.optim.Adam([offsets], lr=RATE, betas=(0.9, 0.999))
        wanted = _pyramid(target)
        wanted_features = [] if features is None else [part.detach() for part in features(target)]

        def distance(made: Tensor) -> Tensor:
            found = torch.stack([(a - b).abs().mean() for a, b in zip(_pyramid(made), wanted, strict=True)]).mean()
            if features is not None:
                parts = [(a - b).square().mean() for a, b in zip(features(made), wanted_features, strict=True)]
                found = found + torch.stack(parts).mean()
            return found

        began = best = float("inf")
        kept = start.clone()
        for step in range(steps + 1):
            share = step / steps
            rate = min(1.0, share / RAMP, 4 * (1 - share))
            for group in optimizer.param_groups:
                group["lr"] = RATE * max(rate, 1e-3)
            # Noise that fades leaves flat places early on (Karras et al., 2020, appendix D).
            jitter = 0.05 * max(0.0, 1 - share / 0.75) ** 2 * torch.randn(offsets.shape, generator=generator)
            styles = start + (offsets + jitter.to(self.device)) * scale
            made = network.synthesis(styles, noise="fixed")
            loss = distance(made)
            if step % 10 == 0 or step == steps:
                value = float(loss.detach())
                began = value if step == 0 else began
                if value < best:
                    best, kept = value, styles.detach().clone()
                if on_step is not None:
                    on_step(step, value)
            if step < steps:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        (picture,) = self.to_images(self.styled().synthesised(kept.cpu()))
        return Projected(styles=kept.cpu(), image=picture, distance=best, began=began)


def _pyramid(images: Tensor) -> list[Tensor]:
    """The images, and halves of them down to 4 px."""
    found = [images]
    while found[-1].shape[-1] > 4:
        found.append(F.avg_pool2d(found[-1], 2))
    return found


def scaled(direction: Tensor, styles: Tensor) -> Tensor:
    """A direction [D], as long as the deviation along it of styles [N, L, D] at their first layer."""
    direction = F.normalize(direction, dim=0)
    return direction * (styles[:, 0] @ direction).std()


def lerp_path(ends: Tensor, *, steps: int, closed: bool) -> Tensor:
    """Points on straight lines between ends [N, L, D]: of pairs, each with both ends; or around a loop, each end once.

    Returns:
        [N / 2 * steps, L, D], or for a loop [N * steps, L, D].
    """
    if closed:
        first, last = ends, ends.roll(-1, dims=0)
        share = torch.arange(steps) / steps
    else:
        first, last = ends[::2], ends[1::2]
        share = torch.linspace(0, 1, steps)
    share = share[None, :, None, None]
    return (first[:, None] * (1 - share) + last[:, None] * share).flatten(0, 1)


def save_styles(styles: Tensor, path: Path, model: StyleModel) -> None:
    """Write styles [N, L, D] as safetensors, with a mark of the network that they belong to.

    Raises:
        WriteError: the file cannot be written.
    """
    with written_beside(path) as beside:
        save_file({"styles": styles.contiguous()}, beside, metadata={"network": model.mark})


def read_styles(path: Path, model: StyleModel) -> Tensor:
    """Styles that were written by `save_styles`.

    Raises:
        InferenceError: no such file, or styles of another network.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            mark = (opened.metadata() or {}).get("network")
            styles = opened.get_tensor("styles")
    except (SafetensorError, OSError) as error:
        raise InferenceError(f"{path} holds no styles ({error}): give a file written by translate project") from None
    if mark != model.mark:
        raise InferenceError(
            f"{path} holds styles of other weights than '{model.config.name}': styles of one network cannot be used "
            "with another, so project the image again"
        )
    model.check_styles(styles)
    return styles

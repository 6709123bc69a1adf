"""Anomaly detection: fit a detector to normal images, and score others.

Nothing but normal training images decides anything: the latents' covariance and the scale of the scores come from those
that the autoencoder learned from and from those held back, the threshold from the latter alone. What must be chosen is
chosen by anomalies planted in the latter: patches of one pasted into another (CutPaste; Li et al., 2021).

Shapes: N images, C channels, S side, D latents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from translate.config.base import ConfigError
from translate.config.networks import AnomalyNetworkConfig
from translate.config.weights import Domains, WeightsConfig
from translate.inference.image_model import ImageModel
from translate.metrics.auroc import auroc
from translate.networks import AnomalyDetector, Autoencoder, PatchDetector, ReconstructionDetector

AT_ONCE = 512
FEWEST = 20  # normal images that a threshold is taken from
SMOOTHINGS = (1, 3, 5)  # pixels, chosen from
COMPONENTS, NEIGHBOURS = 32, 5


def fit(
    model: ImageModel,
    learned: Tensor,
    held_back: Tensor,
    *,
    false_alarms: float = 0.05,
    smoothing: int | None = None,
) -> ReconstructionDetector:
    """A detector of what is unlike normal images.

    Args:
        model: An autoencoder of normal images.
        learned: Normal images that it learned from, [N, C, S, S] in [-1, 1].
        held_back: Normal images that it did not.
        false_alarms: Share of normal images that the thresholds call abnormal.
        smoothing: Pixels that errors are averaged over, odd; unless given, what tells planted anomalies best.

    Raises:
        ConfigError: too few images, or the model has a codebook.
    """
    network = model.network
    if not isinstance(network, Autoencoder):
        raise ConfigError(f"'{model.config.name}' has a codebook: anomaly detection needs an ae or a vae")
    if min(len(learned), len(held_back)) < FEWEST:
        raise ConfigError(
            f"{len(learned)} normal training images and {len(held_back)} held-out ones: at least {FEWEST} of each "
            "are needed"
        )
    sides = [side for side in (SMOOTHINGS if smoothing is None else (smoothing,)) if side < model.size]
    if not sides:
        raise ConfigError(f"--smoothing {smoothing} must be smaller than the image size of {model.size} px")
    latents = model.encoded(learned).double()
    centre = latents.mean(dim=0)
    covariance = torch.cov(latents.T).reshape(latents.shape[1], -1)
    # A latent that never varies would be infinitely telling.
    floor = 1e-4 * covariance.diagonal().mean().clamp_min(1e-8)
    precision = torch.linalg.inv(covariance + floor * torch.eye(len(centre), dtype=torch.float64))
    found = []
    for side in sides:
        detector = ReconstructionDetector(AnomalyNetworkConfig(autoencoder=network.config, smoothing=side))
        detector.autoencoder.load_state_dict(network.state_dict())
        detector.to(model.device).eval()
        detector.centre.copy_(centre.float())
        detector.whitening.copy_(torch.linalg.cholesky(precision).float())
        set_thresholds(detector, held_back, false_alarms=false_alarms)
        found.append(detector.requires_grad_(False))
    return found[0] if len(found) == 1 else max(found, key=lambda detector: told_from_planted(detector, held_back))


def set_thresholds(detector: AnomalyDetector, held_back: Tensor, *, false_alarms: float) -> None:
    """Put scores into deviations from those of normal images that were held back, and set the thresholds.

    Args:
        detector: Fitted, but for this.
        held_back: [N, C, S, S] in [-1, 1].
        false_alarms: Share of them that the thresholds call abnormal.
    """
    raw = measured(detector, held_back, raw=True)
    detector.means.copy_(raw.mean(dim=0))
    detector.deviations.copy_(raw.std(dim=0).clamp_min(1e-6))
    scores = detector.together(raw.to(detector.device))
    detector.thresholds.copy_(torch.quantile(scores, 1 - false_alarms, dim=0))


def planted(images: Tensor, *, seed: int = 0) -> Tensor:
    """Images with a fault each: a rectangle of another one, a quarter to a half as wide and as high, pasted elsewhere.

    Of four such rectangles the one that changes the image most is taken, since black pasted into black is no fault.

    Args:
        images: [N, C, S, S], two at least.
        seed: Of what is drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    number, side = len(images), images.shape[-1]
    places = torch.arange(side)
    spoilt, changed = images.clone(), torch.full((number,), -1.0)
    for _ in range(4):
        others = (torch.arange(number) + torch.randint(1, number, (number,), generator=generator)) % number
        inside, sources = [], []
        for _ in ("rows", "columns"):
            length = (side * (0.25 + 0.25 * torch.rand(number, 1, generator=generator))).ceil()
            start, taken = ((torch.rand(number, 1, generator=generator) * (side - length + 1)).floor() for _ in "ab")
            inside.append((places >= start) & (places < start + length))  # [N, S]
            sources.append((places + (taken - start).long()) % side)
        patches = images[others[:, None, None], :, sources[0][:, :, None], sources[1][:, None, :]].permute(0, 3, 1, 2)
        mask = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        pasted = torch.where(mask, patches, images)
        change = (pasted - images).abs().mean(dim=(1, 2, 3))
        better = change > changed
        spoilt[better], changed[better] = pasted[better], change[better]
    return spoilt


def told_from_planted(detector: AnomalyDetector, normal: Tensor) -> float:
    """AUROC of telling normal images [N, C, S, S] from the same images with planted faults, by all that is measured."""
    scores = measured(detector, torch.cat([normal, planted(normal)]))[:, -1]
    return auroc(scores, torch.arange(len(scores)) >= len(normal))


def detector_config(model: ImageModel, detector: ReconstructionDetector, *, false_alarms: float) -> WeightsConfig:
    """What the file of a detector says of itself."""
    return replace(
        model.config,
        kind="anomaly",
        network=detector.config,
        domains=Domains(source="images", target="scores"),
        false_alarms=false_alarms,
    )


@torch.inference_mode()
def measured(detector: AnomalyDetector, images: Tensor, *, raw: bool = False) -> Tensor:
    """Scores of many images: [N, len(scores)] on the CPU, or with `raw` the logarithms of what is measured."""
    device = detector.device
    function = detector.raw if raw else detector
    return torch.cat([function(part.to(device)).cpu() for part in images.split(at_once(detector))])


def at_once(detector: AnomalyDetector) -> int:
    """Images in one pass: fewer of large ones."""
    return max(1, AT_ONCE // 64) if isinstance(detector, PatchDetector) else AT_ONCE


@dataclass(frozen=True, kw_only=True)
class AurocRow:
    """How well scores tell abnormal images from normal ones."""

    name: str
    auroc: float


def principal(learned: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of images [M, C, S, S] and their 32 principal components at most: [P] and [P, K]."""
    flat = learned.flatten(1).double()
    centre = flat.mean(dim=0)
    away = flat - centre
    count = min(COMPONENTS, *flat.shape)
    if len(flat) <= flat.shape[1]:  # a covariance of all pixels would be far larger than the images
        basis = torch.linalg.svd(away, full_matrices=False).Vh[:count].T
    else:
        basis = torch.linalg.eigh(away.T @ away).eigenvectors[:, -count:]
    return centre.float(), basis.float()


def baselines(learned: Tensor, images: Tensor) -> dict[str, Tensor]:
    """Scores [N] that no network made, from pixels alone.

    The error of a reconstruction from 32 principal components, and the distance to the fifth-nearest normal images.

    Args:
        learned: Normal images, [M, C, S, S].
        images: [N, C, S, S].
    """
    flat, others = learned.flatten(1).float(), images.flatten(1).float()
    centre, basis = principal(learned)
    away = others - centre
    left = away - away @ basis @ basis.T
    nearest = [
        torch.cdist(part, flat).topk(min(NEIGHBOURS, len(flat)), largest=False).values.mean(dim=1)
        for part in others.split(AT_ONCE)
    ]
    return {
        f"PCA-{basis.shape[1]} of the pixels": left.square().sum(dim=1),
        f"{NEIGHBOURS}-NN of the pixels": torch.cat(nearest),
    }


def auroc_rows(scores: dict[str, Tensor], abnormal: Tensor) -> list[AurocRow]:
    """AUROCs of several scores [N], for bool [N]."""
    return [AurocRow(name=name, auroc=auroc(values, abnormal)) for name, values in scores.items()]

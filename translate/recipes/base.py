"""What a method is to the engine: networks, optimizers, and updates that say what is optimised against what.

A recipe never calls ``backward``, ``step``, autocast, or anything that waits for the device; the engine holds the only
loop.
To add a method: a file beside this one, a configuration, and a test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.methods import method_name
from translate.config.training import (
    DataConfig,
    ImageSetConfig,
    Precision,
    RunConfig,
    UnpairedDataConfig,
)
from translate.config.weights import Preprocessing, WeightsConfig
from translate.data.batches import Wanted
from translate.data.image_set import ImageSet
from translate.data.paired import PairedImages
from translate.data.store import Format
from translate.data.unpaired import UnpairedImages
from translate.recipes.growth import Stage
from translate.recipes.schedule import learning_rate_factor

R1_EVERY = 16  # steps between two R1 penalties, as in StyleGAN2

Batch = dict[str, Tensor]
Scratch = dict[str, Tensor]
"""What the losses of a step leave for each other; at first ``keys``, int64 [N], for `translate.blocks.keyed`."""
Exported = tuple[str | tuple[str, ...], WeightsConfig]
"""The name of a network, or the names of the parts of one, and what its file says of it."""
LossFn = Callable[[Batch, Scratch], dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Update:
    """One optimizer step."""

    name: str
    optimizer: str
    """Two updates may share one: ``d`` and ``d_r1``."""
    trains: tuple[str, ...]
    """The networks that receive gradients."""
    losses: tuple[LossFn, ...]
    """Each maps a micro-batch and the scratch to its terms, whose sum is backpropagated on its own."""
    every: int = 1
    """Steps between two updates: the critic's steps a generator step, lazy regularisation."""
    gain: float = 1.0
    """Factor on the losses; ``every`` for lazy regularisation."""
    double_backward: bool = False
    """The loss contains gradients (R1, WGAN-GP): computed in fp32, uncompiled."""
    frozen: tuple[str, ...] | None = None
    """Networks without gradients; all but `trains` unless given. ``()`` keeps a graph alive for a later update."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is, in images."""

    images: int
    total: int

    @property
    def fraction(self) -> float:
        return min(1.0, self.images / self.total)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a generator made in a step, for the detectors: [N, C, H, W] each, without gradients."""

    output: Tensor
    source: Tensor | None = None
    """What a translator made it of."""
    target: Tensor | None = None
    """What it should have made, where that is known; for a generator without a source, real images."""


class Batches(Protocol):
    """A stream of batches that can be closed."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __next__(self) -> Batch: ...
    def close(self) -> None: ...


class TrainingData(Protocol):
    """What the engine reads from."""

    @property
    def size(self) -> int:
        """Side of the training crops, in pixels."""

    @property
    def num_images(self) -> int:
        """Training images."""

    @property
    def announcement(self) -> Sequence[str]:
        """What is reported of the data before training starts."""

    @property
    def formats(self) -> Sequence[Format]:
        """What the images of each domain are converted to."""

    @property
    def description(self) -> str:
        """The data set in one line."""

    @property
    def files(self) -> Mapping[str, Path]:
        """Every file that is read, by its place in the data set."""

    def batches(self, wanted: Wanted) -> Batches:
        """The batches of a run; this process's share of them."""

    def samples(self, device: torch.device) -> Batch:
        """A few fixed examples for the grids, of the validation split where there is one."""

    def validation(self, device: torch.device) -> Batch | None:
        """Images of the validation split, undisturbed; None where there is no such split."""

    def close(self) -> None:
        """Remove what was cached."""


class Recipe(ABC):
    """A training method.

    Attributes:
        command: Of ``translate``, for trying what was trained; the weights in place of the braces.
        nets: The networks by name.
        ema_nets: Names of those of which the engine keeps an average.
        updates: The steps, in their order.
        kept: What of the scratch stays for later updates where a step is made in parts; without gradients, so that it
            holds no graph in memory.
        processes: That train together; set by the engine.
        guessing_losses: By the name of a discriminator's loss, what it is for one that cannot tell real from fake.
        remedies: What to try, by the kind of alarm (`translate.engine.detectors`).
    """

    command: str = "apply {} IMAGE -o OUT"
    nets: dict[str, nn.Module]
    ema_nets: tuple[str, ...] = ()
    updates: tuple[Update, ...]
    run: RunConfig
    kept: tuple[str, ...] = ()
    processes: int = 1
    guessing_losses: Mapping[str, float] = MappingProxyType({})
    remedies: Mapping[str, str] = MappingProxyType(
        {
            "nothing": "a lower weight of the terms that keep the output like the input, or another --init",
            "inverted": "another --seed, or a higher weight of the terms that keep the output like the input",
            "collapsed": "a lower --learning-rate, --r1-weight 1, or more images",
            "overpowered": "--r1-weight 1, a smaller --d-width, or more images",
            "not finite": "a lower --learning-rate, or --precision fp32",
        }
    )

    @property
    def name(self) -> str:
        """The method, as ``translate train`` calls it."""
        return method_name(self.config)  # type: ignore[attr-defined]  # each recipe has its own kind of configuration

    @classmethod
    def open_data(cls, config: Any, *, cache: Path | None = None) -> TrainingData:
        """The data of a configuration, of the kind that its ``data`` describes.

        Args:
            config: The method's configuration.
            cache: Folder for decoded images; none are kept by default.

        Raises:
            LayoutError, ConfigError: the data will not do; the message says why and what to change.
        """
        match config.data:
            case DataConfig():
                return PairedImages(config.data, cache=cache)
            case UnpairedDataConfig():
                return UnpairedImages(config.data, cache=cache)
            case ImageSetConfig():
                return ImageSet(config.data, cache=cache)
        raise TypeError(f"{cls.__name__} has to say how {type(config.data).__name__} is opened")

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """New optimizers by name, at the full learning rate."""

    @abstractmethod
    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Columns of a sample grid, heading to [N, C, H, W] in [-1, 1]."""

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Scores on the validation split, lower for better; their sum picks the weights in ``best/``. None: no best."""
        return {}

    @abstractmethod
    def exports(self) -> dict[str, Exported]:
        """What becomes a file: by sub-folder of ``weights/`` (``.`` for itself)."""

    def stage(self, progress: Progress) -> Stage:
        """At which size, and in batches of how many, it is trained now; a pure function of the images seen."""
        return Stage(batch_size=self.run.batch_size)

    def advance(self, progress: Progress, optimizers: dict[str, Optimizer]) -> float:
        """Before each step: set the learning rates; the share of the full rate, for the log."""
        factor = learning_rate_factor(self.run.schedule, progress.fraction, decay_from=self.run.decay_from)
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        return factor

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        """By the name of a generator, what it made of a micro-batch; nothing where the step did not run it."""
        return {}

    @property
    def announcement(self) -> list[str]:
        """What should be said aloud of the method before training starts, beside what the data says of itself."""
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """What a method keeps beyond networks and optimizers, such as an image pool.

        Each process of several has its own, of the same names and shapes.
        """
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: B027 (most methods keep nothing)
        """Put back what `state_dict` took."""


def lazy_r1(trains: tuple[str, ...], losses: tuple[LossFn, ...]) -> Update:
    """The update of a discriminator's R1 penalty, taken every 16 steps and weighted for it (Karras et al., 2020)."""
    return Update(
        name="d_r1", optimizer="d", trains=trains, losses=losses, every=R1_EVERY, gain=R1_EVERY, double_backward=True
    )


def preprocessing(
    size: int,
    *,
    source: Format,
    target: Format | None = None,
    alpha: Literal["composite", "keep"] = "composite",
    fit: Literal["cover", "stretch"] = "cover",
) -> Preprocessing:
    """How weights say that images are read and written.

    Args:
        size: Side of the training crops.
        source: Of the inputs.
        target: Of what is made; as the inputs unless given.
        alpha: What was done with transparency.
        fit: What was done with other proportions than a square's.
    """
    made = source if target is None else target
    bits: Literal[8, 16] = 16 if made.bits == 16 else 8
    return Preprocessing(size=size, fit=fit, bits=bits, alpha=alpha, source=source.encoding, target=made.encoding)


def adam(parameters: Iterable[nn.Parameter], run: RunConfig, *, lazy: int = 0) -> Optimizer:
    """Adam as the run's configuration says; fused, so that a gradient scaler needs no copy to the host.

    Args:
        parameters: What it trains.
        run: Learning rate and betas.
        lazy: Steps between two lazy regularisations that share this optimizer; 0 for none. They are corrected for
            as in StyleGAN2 (Karras et al., 2020, appendix B): ``lr * c, betas ** c`` with ``c = lazy / (lazy + 1)``.
    """
    correction = lazy / (lazy + 1) if lazy else 1.0
    rate = run.learning_rate * correction
    betas = (float(run.beta1) ** correction, float(run.beta2) ** correction)
    optimizer = torch.optim.Adam(list(parameters), lr=rate, betas=betas, fused=True)
    for group in optimizer.param_groups:
        group["initial_lr"] = rate
    return optimizer


def adamw(parameters: Iterable[nn.Parameter], run: RunConfig, *, weight_decay: float) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as the run's configuration says."""
    betas = (float(run.beta1), float(run.beta2))
    optimizer = torch.optim.AdamW(
        list(parameters), lr=run.learning_rate, betas=betas, weight_decay=weight_decay, fused=True
    )
    for group in optimizer.param_groups:
        group["initial_lr"] = run.learning_rate
    return optimizer

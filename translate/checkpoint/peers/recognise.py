"""Which network a state dict holds, from its keys and shapes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from translate.checkpoint.peers.published import Layout, layouts
from translate.config.networks import Norm

State = dict[str, Tensor]
WRAPPERS = ("module", "_orig_mod")  # what DataParallel and torch.compile put into a name
FEATURE_HEADS = "mlp_"
STATISTICS = ("running_mean", "running_var")
DEEPEST = 2  # parts of parts of a state dict that are looked through


@dataclass(frozen=True)
class Match:
    """How well a published network explains a state dict."""

    layout: Layout
    state: State

    @cached_property
    def norm(self) -> Norm:
        """The normalisation that the keys speak of.

        Batch norm has a scale, a shift and statistics. Instance norm has neither scale nor shift, but convolutions with
        biases; old files hold statistics under it as well, which the project drops when it opens them.
        """
        normed = [(stage.conv[0], stage.norm[0]) for stage in self.layout.stages if stage.norm is not None]
        if any(f"{norm}.weight" in self.state for _, norm in normed):
            return "batch" if any(f"{norm}.running_mean" in self.state for _, norm in normed) else "instance-affine"
        return "instance" if any(f"{conv}.bias" in self.state for conv, _ in normed) else "none"

    @cached_property
    def required(self) -> set[str]:
        """The keys without which it is not this network."""
        keys = set()
        for stage in self.layout.stages:
            keys.add(f"{stage.conv[0]}.weight")
            if stage.biased or self.norm == "instance":
                keys.add(f"{stage.conv[0]}.bias")
            if stage.norm is not None and self.norm in ("batch", "instance-affine"):
                names = ("weight", "bias", *(STATISTICS if self.norm == "batch" else ()))
                keys.update(f"{stage.norm[0]}.{name}" for name in names)
        return keys

    @cached_property
    def allowed(self) -> set[str]:
        """The keys that it may have besides: biases, statistics and filters."""
        keys = {stored.key for stored in self.layout.filters}
        for stage in self.layout.stages:
            keys.add(f"{stage.conv[0]}.bias")
            if stage.norm is not None and self.norm in ("batch", "instance"):
                keys.update(f"{stage.norm[0]}.{name}" for name in (*STATISTICS, "num_batches_tracked"))
        return keys

    @cached_property
    def missing(self) -> list[str]:
        return sorted(self.required - self.state.keys(), key=_natural)

    @cached_property
    def unexpected(self) -> list[str]:
        return sorted(self.state.keys() - self.required - self.allowed, key=_natural)

    @property
    def whole(self) -> bool:
        """Whether every key is there and none is left over."""
        return not self.missing and not self.unexpected

    @cached_property
    def likeness(self) -> tuple[bool, float, int]:
        """For comparing: whole; the share of keys in common; how many of the network's kernel sizes there are."""
        common = len(self.state.keys() & self.required)
        kernels = {tensor.shape[-1] for tensor in self.state.values() if tensor.ndim == 4}
        return self.whole, common / len(self.required | self.state.keys()), len(kernels & set(self.layout.kernels))

    def in_words(self) -> str:
        """What it is nearest to, what is missing and what is left over."""
        if all(key.startswith(FEATURE_HEADS) for key in self.state):
            return "these are CUT's feature heads (netF), which only its training uses; give the file of its netG"
        if not self.state.keys() & self.required:
            return (
                f"none of its {len(self.state)} tensors ({_some(list(self.state))}) has a known name; by its "
                f"kernels the closest is a {self.layout.family}, which lacks everything from {self.missing[0]} on"
            )
        parts = []
        if self.missing:
            verb = "is" if len(self.missing) == 1 else "are"
            parts.append(
                f"{len(self.missing)} of its {len(self.required)} tensors {verb} missing ({_some(self.missing)})"
            )
        if self.unexpected:
            verb = "is" if len(self.unexpected) == 1 else "are"
            parts.append(f"{len(self.unexpected)} in the file {verb} not part of it ({_some(self.unexpected)})")
        return f"the closest is a {self.layout.words}, but {' and '.join(parts)}"


def search(state: State, where: str = "", depth: int = DEEPEST) -> Iterator[tuple[str, Match]]:
    """The published network that explains a state dict best; if not wholly, those of its parts as well.

    A part is what shares the first word of its names, such as the ``netG`` of a larger model.

    Args:
        state: Not empty.
        where: In the file, for people.
        depth: Parts of parts that are looked through.

    Yields:
        Where, and the best match there.
    """
    # Not by the word alone: a file may hold what was wrapped at any depth.
    names = {key: ".".join(word for word in key.split(".") if word not in WRAPPERS) for key in state}
    state = {names[key]: tensor for key, tensor in state.items()}
    best = max((Match(layout, state) for layout in layouts(state)), key=lambda match: match.likeness)
    yield where, best
    if best.whole or not depth:
        return
    groups: dict[str, State] = {}
    for key, tensor in state.items():
        first, _, rest = key.partition(".")
        if rest and not first.isdecimal():
            groups.setdefault(first, {})[rest] = tensor
    for first, group in groups.items():
        yield from search(group, f"{where}.{first}" if where else first, depth - 1)


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")


def _natural(key: str) -> list[tuple[int, str]]:
    """Orders model.4 before model.10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in key.split(".")]

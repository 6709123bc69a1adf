"""From another project's file to a network of ours that computes the same, and what our file will say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from translate.checkpoint.files import CONFIG_FILE, WeightsError
from translate.checkpoint.peers.published import PeerConfig
from translate.checkpoint.peers.reading import read_states, sha256
from translate.checkpoint.peers.recognise import Match, search
from translate.checkpoint.peers.style import import_style_generator, style_generators
from translate.checkpoint.weights import load_weights, save_weights
from translate.config.base import ConfigError, from_dict, to_dict
from translate.config.networks import PatchGANConfig, ResNetConfig, StyleGeneratorConfig, UNetConfig
from translate.config.training import Noise
from translate.config.weights import Domains, Origin, Preprocessing, WeightsConfig
from translate.networks import (
    Generator,
    PatchGANDiscriminator,
    PatchOutput,
    StyleGenerator,
    blank_network,
    build_network,
)

Statistics = Literal["running", "image"]
PUBLISHED_SIZE = 256  # what both projects train on by default
NORM_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def import_weights(
    path: Path,
    *,
    name: str | None = None,
    domains: Domains | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
    size: int | None = None,
    statistics: Statistics = "running",
    noise: Noise = "training",
    key: str | None = None,
) -> tuple[nn.Module, WeightsConfig]:
    """Open a network that pytorch-CycleGAN-and-pix2pix, contrastive-unpaired-translation or stylegan2-pytorch saved.

    Generators (ResNet of any depth, with CUT's filters or without; U-Net) and discriminators (PatchGAN, pixel). What
    the network is made of is read from the keys and shapes; what a file does not say has a default here, and is kept in
    the configuration. Biases in front of instance norm, which takes them away again, are left out; statistics under
    instance norm, which old files hold and both projects ignore, too.

    Args:
        path: The ``.pth`` file, or safetensors with the same keys.
        name: What the weights are called; the file's stem unless given.
        domains: What the generator takes and makes, in words.
        value_range: What the darkest and the brightest value of an image become; -1 and 1 in both projects.
        size: Side in pixels that it was trained at; 256, or what a U-Net halves down to one pixel, unless given.
        statistics: Of batch norm: ``running`` averages of the training, as their ``test.py --eval`` takes them, or
            those of each ``image``, as their ``test.py`` without it.
        noise: Whether dropout stays on when translating: ``always`` as their ``test.py`` without ``--eval``,
            ``training`` or ``never`` as with it.
        key: Which network of a file that holds several, such as ``netG_A``.

    Returns:
        The network (fp32, evaluation mode, no gradients) and its configuration.

    Raises:
        WeightsError: the file cannot be opened, or holds no network, or several, or one of no known architecture; says
            which is nearest and what is missing.
        ConfigError: an option that does not fit.

    Example:
        >>> network, config = import_weights(Path("latest_net_G.pth"), name="horse2zebra")
    """
    path = Path(path)
    states = read_states(path)
    if style_generators(states):
        return import_style_generator(path, states, name=name, key=key)
    match, where = _find(path, states, key)
    network_config = _config(match, statistics=statistics, noise=noise)
    dropout = 0.0 if isinstance(network_config, PatchGANConfig) else network_config.dropout
    if noise == "always" and not dropout:
        raise ConfigError(f"--noise always: {path} holds a network without dropout: omit it")
    if size is None:
        size = 2**network_config.depth if isinstance(network_config, UNetConfig) else PUBLISHED_SIZE
    config = WeightsConfig(
        kind="discriminator" if isinstance(network_config, PatchGANConfig) else "translator",
        name=path.stem if name is None else name,
        network=network_config,
        preprocessing=Preprocessing(size=size, value_range=value_range),
        domains=domains or Domains(),
        noise=noise if dropout else "never",
        origin=Origin(file=path.name, sha256=sha256(path), key=where),
    )
    config = from_dict(WeightsConfig, to_dict(config))  # what cannot be read back is not made
    _check_values(path, match)
    return _converted(path, match, network_config).eval().requires_grad_(False), config


def save_checked(network: nn.Module, config: WeightsConfig, path: Path) -> Path:
    """Write imported weights as `save_weights` does, read them back, and compare outputs on noise.

    Returns:
        The safetensors file.

    Raises:
        WeightsError: a value is not finite; or what was written does something else, and is removed.
        WriteError: the disk is full or the folder is not writable.
    """
    file = save_weights(network, config, path)
    written, _ = load_weights(file)
    assert isinstance(network, Generator | PatchGANDiscriminator | StyleGenerator)
    generator = torch.Generator().manual_seed(0)
    if isinstance(network, StyleGenerator):
        given = torch.randn(2, network.config.latent, generator=generator)
    else:
        side = network.minimum_size
        low, high = config.preprocessing.value_range
        image = torch.rand(1, config.network.in_channels, side, side, generator=generator)
        given = image * (high - low) + low
    with torch.inference_mode():
        expected, found = (_output(net.eval(), given) for net in (network, written))
    if not torch.equal(expected, found):
        for part in (file, *([path / CONFIG_FILE] if file.parent == path else [])):
            part.unlink()
        raise WeightsError(f"{file} did not read back as it was written: nothing was kept. Try another disk")
    return file


def _output(network: nn.Module, images: Tensor) -> Tensor:
    output = network(images)
    return output.logits[0] if isinstance(output, PatchOutput) else output


def _find(path: Path, states: Mapping[str, dict[str, Tensor]], key: str | None) -> tuple[Match, str]:
    """The one network in a file, and where in it."""
    found = [pair for where, state in states.items() for pair in search(state, where)]
    whole = {where: match for where, match in found if match.whole}
    if key is not None and whole:
        if key not in whole:
            there = "omit it, the file is one network" if "" in whole else f"choose from {', '.join(whole)}"
            raise WeightsError(f"{path} has no network at --key {key}: {there}")
        return whole[key], key
    if len(whole) > 1:
        raise WeightsError(f"{path} holds several networks: choose one with --key from {', '.join(whole)}")
    if not whole:
        nearest = max((match for _, match in found), key=lambda match: match.likeness)
        raise WeightsError(f"{path} contains no network of a known architecture: {nearest.in_words()}")
    (where, match), *_ = whole.items()
    return match, where


def _config(match: Match, *, statistics: Statistics, noise: Noise) -> PeerConfig:
    """The layout's configuration, completed."""
    norm = match.norm
    if norm == "batch" and statistics == "image":
        norm = "instance-affine"  # batch norm, of a batch of one image
    config = match.layout.config
    if isinstance(config, PatchGANConfig):
        return replace(config, norm=norm)
    return replace(config, norm=norm, dropout=0.0 if noise == "never" else config.dropout)


def _check_values(path: Path, match: Match) -> None:
    for key, tensor in match.state.items():
        counted = key.endswith("num_batches_tracked")
        if tensor.layout != torch.strided or tensor.is_meta or not (tensor.is_floating_point() or counted):
            raise WeightsError(
                f"{path}: {key} is {tensor.dtype} and {tensor.layout}; only plain floating-point values can be imported"
            )
    for stored in match.layout.filters:
        if stored.key in match.state and not stored.fits(match.state[stored.key]):
            raise WeightsError(
                f"{path}: {stored.key} is not the published filter {list(stored.taps)}, and no other can be imported"
            )


def _converted(path: Path, match: Match, config: PeerConfig) -> nn.Module:
    """Our network with the file's values."""
    expected: Mapping[str, Tensor] = blank_network(config).state_dict()
    tensors: dict[str, Tensor] = {}

    def take(theirs: str, ours: str) -> None:
        """A tensor of the file, where our network has it; zeros where the file leaves it out, as a bias or a count."""
        if ours not in expected:
            return
        shape = expected[ours].shape
        found = match.state[theirs] if theirs in match.state else torch.zeros(shape)
        if found.shape != shape:
            raise WeightsError(
                f"{path} is nearly a {match.layout.words}, but {theirs} is {list(found.shape)} "
                f"and would have to be {list(shape)}"
            )
        tensors[ours] = found.to(expected[ours].dtype, copy=True)

    for stage in match.layout.stages:
        conv, ours = stage.conv
        take(f"{conv}.weight", f"{ours}.weight")
        take(f"{conv}.bias", f"{ours}.bias")
        if stage.norm is not None:
            for kept in NORM_TENSORS:
                take(f"{stage.norm[0]}.{kept}", f"{stage.norm[1]}.{kept}")
            bias, mean = match.state.get(f"{conv}.bias"), tensors.get(f"{stage.norm[1]}.running_mean")
            if bias is not None and mean is not None:  # (x + bias) - mean, with a convolution that has no bias
                tensors[f"{stage.norm[1]}.running_mean"] = mean - bias
    network = build_network(config)  # again: fixed filters need values
    network.load_state_dict(tensors)
    return network


def in_words(imported: WeightsConfig) -> str:
    """What an imported network is: ``ResNet generator, 9 blocks, 64 wide, instance norm, RGB to RGB``."""
    config = imported.network
    if isinstance(config, StyleGeneratorConfig):
        return (
            f"StyleGAN2 generator, {config.size} px, {config.mapping_layers} mapping layers, styles of {config.style}"
        )
    assert isinstance(config, PeerConfig)
    kinds = {"instance": "instance norm", "batch": "batch norm", "group": "group norm", "none": "no norm"}
    norm = kinds.get(config.norm, "batch norm by each image's statistics")
    dropout = []
    if isinstance(config, PatchGANConfig):
        layers = f"PatchGAN discriminator, {config.num_layers} layers" if config.num_layers else "pixel discriminator"
        channels = f"of {_channels(config.in_channels)}"
    else:
        if isinstance(config, ResNetConfig):
            layers = f"ResNet generator, {config.num_blocks} blocks"
            dropout = ["dropout"] if config.dropout else []
        else:
            layers = f"U-Net generator, {config.depth} levels"
        channels = f"{_channels(config.in_channels)} to {_channels(config.out_channels)}"
    blurred = ["anti-aliased"] if config.downsampling == "blur-after" else []
    return ", ".join([layers, f"{config.width} wide", norm, *blurred, *dropout, channels])


def _channels(count: int) -> str:
    return {1: "grey", 3: "RGB", 4: "RGBA"}.get(count, f"{count} channels")

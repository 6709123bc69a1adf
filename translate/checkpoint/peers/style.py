"""Generators of stylegan2-pytorch (rosinality), which NVIDIA's StyleGAN2 weights are often converted to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from translate.blocks.style import fir_kernel
from translate.checkpoint.files import WeightsError
from translate.checkpoint.peers.reading import sha256
from translate.config.networks import StyleGeneratorConfig
from translate.config.weights import Domains, Origin, Preprocessing, WeightsConfig
from translate.networks import StyleGenerator

States = Mapping[str, Mapping[str, Tensor]]
MARKS = ("input.input", "style.1.weight", "conv1.conv.modulation.weight", "to_rgb1.conv.weight")
AVERAGE, PREFERRED = "latent_avg", "g_ema"
DRAWN = 10_000  # latents whose mean style is taken where the file has none
IGNORED = re.compile(r"(.*\.kernel|noises\.noise_\d+)")  # filters, which are checked; noise is taken where it is there


def style_generators(states: States) -> dict[str, Mapping[str, Tensor]]:
    """Those of the states in a file that are such generators, by where they are."""
    return {where: state for where, state in states.items() if all(mark in state for mark in MARKS)}


def import_style_generator(
    path: Path, states: States, *, name: str | None, key: str | None
) -> tuple[StyleGenerator, WeightsConfig]:
    """A generator of such a file: mapping, synthesis, noise and mean style.

    The file does not say how much slower the mapping network learned; a hundredth, as published, is taken.

    Args:
        path: For the messages.
        states: What is in it.
        name: What the weights are called; the file's stem unless given.
        key: Which generator; the average, ``g_ema``, unless given.

    Raises:
        WeightsError: no such generator, a tensor that is missing or of another shape, another filter, values that are
            not finite.
    """
    found = style_generators(states)
    where = key or (PREFERRED if PREFERRED in found else next(iter(found)))
    if where not in found:
        raise WeightsError(f"{path} has no network at --key {key}: choose from {', '.join(found) or 'none'}")
    state = found[where]
    config = _config(path, state)
    with torch.random.fork_rng(devices=[]):  # what the file leaves out is the same at every import
        torch.manual_seed(0)
        network = StyleGenerator(config)
    expected = network.state_dict()
    tensors: dict[str, Tensor] = {}
    used = set()
    for theirs, ours in _names(config):
        if theirs not in state:
            if theirs.startswith("noises."):  # older files have none
                continue
            raise WeightsError(f"{path} is nearly a StyleGAN2 generator of {config.size} px, but lacks {theirs}")
        tensor, shape = state[theirs], expected[ours].shape
        # They keep one dimension more: of the images whose weights a convolution has, of a strength, around a bias.
        if [side for side in tensor.shape if side > 1] != [side for side in shape if side > 1]:
            raise WeightsError(f"{path}: {theirs} is {list(tensor.shape)} and would have to be of {list(shape)}")
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise WeightsError(f"{path}: {theirs} holds values that are not finite")
        tensors[ours] = tensor.to(torch.float32, copy=True).reshape(shape)
        used.add(theirs)
    if extra := [key for key in state if key not in used and not IGNORED.fullmatch(key)]:
        raise WeightsError(f"{path} is not a known StyleGAN2 generator: it also has {extra[0]}")
    _check_filters(path, state)
    network.load_state_dict(tensors, strict=False)
    network.eval().requires_grad_(False)
    average = states.get("", {}).get(AVERAGE)
    if average is not None and average.numel() == config.style:
        network.mapping.average.copy_(average.flatten())
    else:
        generator = torch.Generator().manual_seed(0)
        with torch.inference_mode():
            styles = network.mapping(torch.randn(DRAWN, config.latent, generator=generator))
        network.mapping.average.copy_(styles.mean(dim=0))
    return network, WeightsConfig(
        kind="generator",
        name=path.stem if name is None else name,
        network=config,
        preprocessing=Preprocessing(size=config.size),
        domains=Domains(source="random numbers", target="images"),
        noise="never",
        origin=Origin(file=path.name, sha256=sha256(path), key=where),
    )


def _config(path: Path, state: Mapping[str, Tensor]) -> StyleGeneratorConfig:
    """What the shapes say.

    Raises:
        WeightsError: they are those of no such generator.
    """
    convolutions = [key for key in state if re.fullmatch(r"(conv1|to_rgb1|convs\.\d+)\.conv\.weight", key)]
    for key, number in {"style.1.weight": 2, **dict.fromkeys(convolutions, 5)}.items():
        if state[key].dim() != number:
            raise WeightsError(f"{path}: {key} is {list(state[key].shape)}, and would have {number} dimensions")
    channels = state["to_rgb1.conv.weight"].shape[1]
    if not 1 <= channels <= 4:
        raise WeightsError(f"{path} makes images of {channels} channels: grey, RGB and RGBA can be opened")
    doubled = [
        state[f"convs.{number}.conv.weight"] for number in range(0, 18, 2) if f"convs.{number}.conv.weight" in state
    ]
    widths = (state["conv1.conv.weight"].shape[1], *(weight.shape[1] for weight in doubled))
    layers = sum(re.fullmatch(r"style\.\d+\.weight", key) is not None for key in state)
    if len(widths) < 2:
        raise WeightsError(f"{path} holds a generator of 4 px: at least 8 px are needed")
    return StyleGeneratorConfig(
        channels=channels,
        size=4 * 2 ** len(doubled),
        widths=widths,
        latent=state["style.1.weight"].shape[1],
        style=state["style.1.weight"].shape[0],
        mapping_layers=layers,
    )


def _names(config: StyleGeneratorConfig) -> list[tuple[str, str]]:
    """Their names and ours."""
    names = [("input.input", "constant")]
    for layer in range(config.mapping_layers):
        names += [(f"style.{layer + 1}.{part}", f"mapping.layers.{layer}.{part}") for part in ("weight", "bias")]

    def modulated(theirs: str, ours: str) -> None:
        names.append((f"{theirs}.conv.weight", f"{ours}.conv.weight"))
        names.extend((f"{theirs}.conv.modulation.{part}", f"{ours}.conv.affine.{part}") for part in ("weight", "bias"))

    def styled(theirs: str, ours: str, number: int) -> None:
        modulated(theirs, ours)
        names.extend(
            [
                (f"{theirs}.noise.weight", f"{ours}.strength"),
                (f"{theirs}.activate.bias", f"{ours}.bias"),
                (f"noises.noise_{number}", f"{ours}.noise"),
            ]
        )

    def to_image(theirs: str, ours: str) -> None:
        modulated(theirs, ours)
        names.append((f"{theirs}.bias", f"{ours}.bias"))

    styled("conv1", "stages.0.convs.0", 0)
    to_image("to_rgb1", "stages.0.to_image")
    for number in range(1, len(config.widths)):
        first = 2 * (number - 1)
        styled(f"convs.{first}", f"stages.{number}.convs.0", first + 1)
        styled(f"convs.{first + 1}", f"stages.{number}.convs.1", first + 2)
        to_image(f"to_rgbs.{number - 1}", f"stages.{number}.to_image")
    return names


def _check_filters(path: Path, state: Mapping[str, Tensor]) -> None:
    wanted = 4 * fir_kernel()
    for key, tensor in state.items():
        if key.endswith(".kernel") and (tensor.shape != wanted.shape or not torch.allclose(tensor.float(), wanted)):
            raise WeightsError(f"{path}: {key} is not the published filter [1, 3, 3, 1], and no other can be imported")

"""Tiny autoencoders and generators with weights by chance, as files."""

from pathlib import Path

import torch

from translate.checkpoint import save_weights
from translate.config import (
    CodecConfig,
    CodePriorConfig,
    ConvAutoencoderConfig,
    ConvGeneratorConfig,
    DenseAutoencoderConfig,
    DenseGeneratorConfig,
    Preprocessing,
    QuantizerConfig,
    StyleGeneratorConfig,
    TrainingRecord,
    VQVAENetworkConfig,
    WeightsConfig,
)
from translate.networks import build_network

SIZE = 16
NETWORKS = {
    "ae": ConvAutoencoderConfig(size=SIZE, latent=3, width=4, likelihood="gaussian"),
    "vae": DenseAutoencoderConfig(size=SIZE, latent=4, hidden=(12,), variational=True),
    "vqvae": VQVAENetworkConfig(
        codec=CodecConfig(channels=1, size=SIZE, width=4, num_downsamplings=2, num_blocks=1, code_dim=3),
        quantizer=QuantizerConfig(num_codes=6, code_dim=3),
        prior=CodePriorConfig(num_codes=6, side=4, width=8, num_layers=2),
    ),
    "no-prior": VQVAENetworkConfig(
        codec=CodecConfig(channels=3, size=SIZE, width=4, num_downsamplings=2, num_blocks=1, code_dim=3),
        quantizer=QuantizerConfig(num_codes=6, code_dim=3),
    ),
}
SAMPLERS = {
    "gan": DenseGeneratorConfig(size=SIZE, latent=5, hidden=(12,)),
    "style": StyleGeneratorConfig(channels=3, size=SIZE, widths=(8, 8, 6), latent=5, style=6, mapping_layers=2),
    "conditional": ConvGeneratorConfig(channels=1, size=SIZE, latent=5, width=4, num_upsamplings=2, num_classes=2),
}


def save_sampler(folder: Path, kind: str) -> Path:
    """Weights of one of `SAMPLERS` in a folder; the classes of the conditional one are called 0 and 1."""
    torch.manual_seed(0)
    network = build_network(SAMPLERS[kind])
    config = WeightsConfig(
        kind="generator",
        name=kind,
        network=SAMPLERS[kind],
        preprocessing=Preprocessing(size=SIZE),
        classes=("0", "1") if kind == "conditional" else (),
    )
    save_weights(network, config, folder)
    return folder


def save_learned(folder: Path, kind: str, *, hold_out: float = 0.0, bits: int = 8) -> Path:
    """Weights of one of `NETWORKS` in a folder."""
    torch.manual_seed(0)
    network = build_network(NETWORKS[kind])
    if "vqvae" in kind or kind == "no-prior":
        torch.nn.init.ones_(network.quantizer.usage)
        torch.nn.init.normal_(network.quantizer.total)
        if network.prior is not None:
            torch.nn.init.normal_(network.prior.places)
            torch.nn.init.normal_(network.prior.head.weight, std=0.7)
    record = TrainingRecord(
        recipe=kind, images_seen=0, config={"data": {"root": "x", "size": SIZE, "hold_out": hold_out}}
    )
    config = WeightsConfig(
        kind="autoencoder",
        name=kind,
        network=NETWORKS[kind],
        preprocessing=Preprocessing(size=SIZE, bits=bits),
        training=record,
    )
    save_weights(network, config, folder)
    return folder

"""One running demo with small random networks, and one browser, for all tests of the demo."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from translate.blocks.style import StyledConv
from translate.checkpoint.weights import save_weights
from translate.config.networks import (
    AnomalyNetworkConfig,
    CodecConfig,
    ConditionalResNetConfig,
    ConvAutoencoderConfig,
    ConvGeneratorConfig,
    DenseAutoencoderConfig,
    PatchAnomalyConfig,
    QuantizerConfig,
    StyleGeneratorConfig,
    UNetConfig,
    VQVAENetworkConfig,
)
from translate.config.weights import Domains, Preprocessing, WeightsConfig
from translate.networks import build_network
from translate.networks.patch_anomaly import NUM_FEATURES

pytest.importorskip("gradio", reason="the demo needs gradio")


def make_weights(
    path: Path,
    *,
    source: str = "labels",
    target: str = "photos",
    size: int = 64,
    channels: int = 3,
    kind: str = "translator",
) -> Path:
    """A small U-Net with random weights, of the name of its folder."""
    torch.manual_seed(len(path.name))
    network = UNetConfig(in_channels=channels, out_channels=channels, width=4, depth=3, dropout=0.0)
    config = WeightsConfig(
        kind=kind,
        name=path.name,
        network=network,
        preprocessing=Preprocessing(size=size),
        domains=Domains(source=source, target=target),
    )
    save_weights(build_network(network), config, path)
    return path


def make_generator(path: Path, network: ConvGeneratorConfig | StyleGeneratorConfig) -> Path:
    """A small generator with random weights, of the name of its folder."""
    torch.manual_seed(len(path.name))
    config = WeightsConfig(
        kind="generator",
        name=path.name,
        network=network,
        preprocessing=Preprocessing(size=network.size),
        classes=("square", "circle", "star") if network.num_classes else (),
    )
    built = build_network(network)
    for module in built.modules():
        if isinstance(module, StyledConv):
            torch.nn.init.constant_(module.strength, 0.3)  # noise is learned, and begins at nothing
    save_weights(built, config, path)
    return path


def make_autoencoder(path: Path, *, variational: bool = False) -> Path:
    """A small autoencoder with random weights, of the name of its folder."""
    torch.manual_seed(len(path.name))
    network: ConvAutoencoderConfig | DenseAutoencoderConfig = (
        ConvAutoencoderConfig(channels=1, size=16, latent=5, width=4, norm="none", variational=True)
        if variational
        else DenseAutoencoderConfig(channels=1, size=16, latent=2, hidden=(8,))
    )
    config = WeightsConfig(kind="autoencoder", name=path.name, network=network, preprocessing=Preprocessing(size=16))
    save_weights(build_network(network), config, path)
    return path


def make_detector(path: Path) -> Path:
    """A detector of 16 px around a small random autoencoder, whose threshold is 0."""
    torch.manual_seed(len(path.name))
    inner = DenseAutoencoderConfig(channels=1, size=16, latent=2, hidden=(8,))
    network = AnomalyNetworkConfig(autoencoder=inner, smoothing=1)
    config = WeightsConfig(
        kind="anomaly", name=path.name, network=network, preprocessing=Preprocessing(size=16), false_alarms=0.05
    )
    save_weights(build_network(network), config, path)
    return path


def with_random_features(network: torch.nn.Module) -> None:
    """Draw what would be pretrained."""
    for name, tensor in network.named_buffers():
        if name.endswith(".weight"):
            torch.nn.init.kaiming_normal_(tensor)


def make_patch_detector(path: Path) -> Path:
    """A detector of patches of 32 px with random features."""
    torch.manual_seed(0)
    network = PatchAnomalyConfig(method="padim", channels=1, size=32, cells=1)
    config = WeightsConfig(kind="anomaly", name=path.name, network=network, preprocessing=Preprocessing(size=32))
    built = build_network(network)
    with_random_features(built)
    rows, columns = torch.tril_indices(NUM_FEATURES, NUM_FEATURES)
    built.whitening.copy_((rows == columns).float())
    save_weights(built, config, path)
    return path


def make_stylist(folder: Path) -> Path:
    """Weights with three named styles."""
    torch.manual_seed(0)
    network = ConditionalResNetConfig(widths=(4, 4, 4), num_blocks=1, code=3, num_styles=3)
    config = WeightsConfig(
        kind="translator",
        name=folder.name,
        network=network,
        preprocessing=Preprocessing(size=64),
        domains=Domains(source="photo", target="painting"),
        noise="never",
        styles=("dots", "lines", "waves"),
    )
    built = build_network(network)
    for layer in built.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.7)
    save_weights(built, config, folder)
    return folder


def make_any_stylist(folder: Path) -> Path:
    """Weights that paint in the style of any image, with random features."""
    torch.manual_seed(0)
    network = ConditionalResNetConfig(widths=(4, 4, 4), num_blocks=1, code=3, num_styles=0, style_size=64)
    config = WeightsConfig(
        kind="translator",
        name=folder.name,
        network=network,
        preprocessing=Preprocessing(size=64),
        domains=Domains(source="photo", target="painting"),
        noise="never",
    )
    built = build_network(network)
    with_random_features(built)
    for layer in built.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.25)  # by more, rounding in an export is enlarged too far
    save_weights(built, config, folder)
    return folder


def make_codec(path: Path) -> Path:
    """A small random VQ-VAE of colour images, without a prior."""
    torch.manual_seed(len(path.name))
    codec = CodecConfig(channels=3, size=16, width=4, num_downsamplings=2, num_blocks=1, code_dim=3)
    network = VQVAENetworkConfig(codec=codec, quantizer=QuantizerConfig(num_codes=6, code_dim=3))
    config = WeightsConfig(kind="autoencoder", name=path.name, network=network, preprocessing=Preprocessing(size=16))
    save_weights(build_network(network), config, path)
    return path


@pytest.fixture(scope="session", name="make_weights")
def weights_maker() -> Callable[..., Path]:
    return make_weights


@dataclass
class Demo:
    """The running demo."""

    url: str
    painter: Path
    """Weights from labels to photos."""
    other: Path
    """Weights from photos to labels."""
    grey: Path
    """Weights from depth to height, of one channel."""
    maker: Path
    """A conditional GAN of three classes."""
    styles: Path
    """A StyleGAN."""
    vae: Path
    """A variational autoencoder, which makes new images as well."""
    detector: Path
    """A detector of unusual images."""
    codec: Path
    """A VQ-VAE without a prior."""
    sketcher: Path
    """Weights from sketches to pictures."""
    renderer: Path
    """Weights from flat icons to renderings."""
    printed: str
    outside: list[str] = field(default_factory=list)
    """Addresses beyond this machine that the server's process has tried to reach."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    from translate.demos import app as module

    folder = tmp_path_factory.mktemp("weights")
    outside: list[str] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            outside.append(str(address))
        connect(self, address)

    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch, socket.socket() as probe:
        probe.bind((module.HOST, 0))
        port = probe.getsockname()[1]
        probe.close()
        patch.setattr("translate.demos.catalogue.shipped_weights", dict)  # the same demo whatever ships
        patch.setattr(socket.socket, "connect", watched)
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        painter = make_weights(folder / "tiny", size=64)
        other = make_weights(folder / "parser", source="photos", target="labels")
        grey = make_weights(folder / "grey", source="depth", target="height", channels=1)
        maker = make_generator(
            folder / "shapes", ConvGeneratorConfig(channels=1, size=16, width=4, num_classes=3, latent=5)
        )
        styles = make_generator(
            folder / "styles", StyleGeneratorConfig(size=16, widths=(4, 4, 4), latent=4, style=4, mapping_layers=1)
        )
        sketcher = make_weights(folder / "lines", source="sketch", target="picture", channels=1)
        renderer = make_weights(folder / "icons", source="flat", target="rendered", size=64)
        vae = make_autoencoder(folder / "variational", variational=True)
        detector, codec = make_detector(folder / "watch"), make_codec(folder / "codes")
        app = module.launch(
            port=port,
            open_browser=False,
            weights=[
                painter,
                other,
                grey,
                maker,
                styles,
                vae,
                make_autoencoder(folder / "plain"),
                detector,
                codec,
                sketcher,
                renderer,
                make_stylist(folder / "brushes"),
                make_any_stylist(folder / "anything"),
                make_patch_detector(folder / "patches"),
            ],
            runs=folder / "trainings",
            wait=False,
        )
        patch.undo()
        patch.setattr(socket.socket, "connect", watched)
        yield Demo(
            url=f"http://{module.HOST}:{port}",
            painter=painter,
            other=other,
            grey=grey,
            maker=maker,
            styles=styles,
            vae=vae,
            detector=detector,
            codec=codec,
            sketcher=sketcher,
            renderer=renderer,
            printed="\n".join(lines),
            outside=outside,
        )
        app.close(verbose=False)

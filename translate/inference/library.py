"""Finding and opening weights: by the name of what ships, by path, by run folder."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from translate.checkpoint.files import weights_file
from translate.checkpoint.weights import load_weights
from translate.config.training import Precision
from translate.config.weights import WeightsConfig
from translate.inference.device import choose_device
from translate.inference.errors import InferenceError, a_kind
from translate.inference.finding import find_weights
from translate.inference.generator_model import GeneratorModel
from translate.inference.image_model import ImageModel
from translate.inference.onnx import load_onnx
from translate.inference.onnx_file import is_onnx
from translate.inference.style_model import StyleModel
from translate.inference.translator import Translator
from translate.networks import AnomalyDetector, StyleGenerator


def open_network(path: Path) -> tuple[nn.Module, WeightsConfig]:
    """The network of a path, and what its file says of it: PyTorch's from safetensors, onnxruntime's from ONNX.

    Raises:
        WeightsError: not there, torn, of another format or version, or onnxruntime is needed and not installed.
    """
    file = weights_file(path)
    return load_onnx(file) if is_onnx(file) else load_weights(file)


def open_generator(network: nn.Module, config: WeightsConfig, *, device: str = "auto") -> GeneratorModel:
    """The generator of a GAN; of a StyleGAN with control of its styles."""
    kind = StyleModel if isinstance(network, StyleGenerator) else GeneratorModel
    return kind(network, config, device=device)


def load(
    name: str | Path, *, device: str = "auto", precision: Precision = "auto"
) -> Translator | ImageModel | GeneratorModel:
    """Open weights, ready to use; no flags about what they are.

    Args:
        name: The name of weights that ship, a ``.safetensors`` or ``.onnx`` file, a weights folder, or a run folder.
        device: cuda, mps, cpu, or auto for the best there is; the CPU for ONNX.
        precision: Of a translator: auto takes bf16 where the device is fast at it and the weights do not ask for fp32;
            fp32 for ONNX.

    Returns:
        A `Translator`; for the weights of an autoencoder an `ImageModel`, for those of a GAN a `GeneratorModel`,
        and for those of a StyleGAN a `StyleModel`.

    Raises:
        WeightsError: as `open_network`.
        InferenceError: the weights are for none of these.
        DeviceError: this machine, or ONNX, does not have the device or precision.

    Example:
        >>> model = load("facades")
        >>> photo = model(Image.open("labels.png"))
    """
    network, config = open_network(find_weights(name))
    if config.kind == "autoencoder":
        return ImageModel(network, config, device=device)
    if config.kind == "generator":
        return open_generator(network, config, device=device)
    return Translator(network, config, device=device, precision=precision)


def load_translator(name: str | Path, *, device: str = "auto", precision: Precision = "auto") -> Translator:
    """As `load`, for what must translate.

    Raises:
        InferenceError: the weights are not a translator's.
    """
    network, config = open_network(find_weights(name))
    return Translator(network, config, device=device, precision=precision)


def load_detector(name: str | Path, *, device: str = "auto") -> tuple[AnomalyDetector, WeightsConfig]:
    """The anomaly detector of a path, and what its file says of it.

    Raises:
        WeightsError: as `open_network`.
        InferenceError: the weights are of another kind.
    """
    network, config = open_network(find_weights(name))
    if not isinstance(network, AnomalyDetector):
        advice = "translate anomaly fit turns it into a detector" if config.kind == "autoencoder" else "give a detector"
        raise InferenceError(f"'{config.name}' is not an anomaly detector but {a_kind(config.kind)}: {advice}")
    return network.to(choose_device(device)), config


def load_image_model(name: str | Path, *, device: str = "auto") -> ImageModel:
    """As `load`, for what must have latents.

    Raises:
        InferenceError: the weights are not an autoencoder's.
    """
    network, config = open_network(find_weights(name))
    return ImageModel(network, config, device=device)


def load_sampler(name: str | Path, *, device: str = "auto") -> ImageModel | GeneratorModel:
    """As `load`, for what must make new images: a GAN, a VAE, or a VQ-VAE with its prior.

    Raises:
        InferenceError: the weights are of another kind.
    """
    network, config = open_network(find_weights(name))
    if config.kind == "generator":
        return open_generator(network, config, device=device)
    if config.kind != "autoencoder":
        raise InferenceError(
            f"'{config.name}' holds {a_kind(config.kind)}, which generates no images from latents: this needs the "
            "weights of a GAN, a VAE or a VQ-VAE"
        )
    return ImageModel(network, config, device=device)


def load_style_model(name: str | Path, *, device: str = "auto") -> StyleModel:
    """As `load`, for what must have styles.

    Raises:
        InferenceError: the weights are not a StyleGAN's.
    """
    network, config = open_network(find_weights(name))
    return StyleModel(network, config, device=device)

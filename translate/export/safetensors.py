"""One self-describing safetensors file, at the precision asked for, checked against the network it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from translate.checkpoint.files import MODEL_FILE, DType
from translate.checkpoint.weights import load_weights, save_weights
from translate.export.exported import Exported, ExportError, source_file
from translate.inference.running import run_network
from translate.networks import Generator, PatchDetector, ReconstructionDetector, example_inputs

# Rounding every weight to fp16 (11 bits), bf16 or int8 (8 bits) moves an image by a few of its 255 steps at most.
TOLERANCE: dict[DType, float] = {"fp32": 0.0, "fp16": 0.02, "bf16": 0.2, "int8": 0.1}


def export_safetensors(source: Path, target: Path, *, dtype: DType = "fp16", name: str | None = None) -> Exported:
    """Write weights again as one file (or a folder), then read it back and compare outputs.

    Args:
        source: A weights folder, a run folder or a file.
        target: A ``.safetensors`` file, or a folder that gets ``model.safetensors`` and ``config.json``.
        dtype: fp16 halves fp32, int8 quarters it.
        name: What the weights are called from now on; as before unless given.

    Raises:
        WeightsError: the source cannot be opened, or its values do not fit `dtype`.
        ExportError: the target is the source itself, or the source is ONNX; or the written network's mean output
            differs by more than rounding explains, and the file is removed.
        WriteError: the target cannot be written.
    """
    destination = target if target.suffix.lower() == ".safetensors" else target / MODEL_FILE
    network, config = load_weights(source_file(source, destination=destination))
    file = save_weights(network, config if name is None else replace(config, name=name), target, dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    size = config.preprocessing.size
    given = example_inputs(config.network, height=size, width=size, generator=generator)
    difference = torch.full((1,), torch.nan)
    if config.kind not in ("discriminator", "classifier"):  # they make no images, nor as many values
        difference = (_output(network, given) - _output(load_weights(file)[0], given)).abs()
        if not difference.mean() <= TOLERANCE[dtype]:  # nan is refused, too
            file.unlink()
            raise ExportError(
                f"in {dtype} the output differs by {difference.mean():.3g} on average (of a range of 2): "
                "nothing was kept. Export as fp32"
            )
    return Exported(
        file=file,
        file_bytes=file.stat().st_size,
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
        relative=isinstance(network, PatchDetector),
    )


@torch.inference_mode()
def _output(network: nn.Module, given: tuple[Tensor, ...]) -> Tensor:
    if isinstance(network, PatchDetector):
        return network.heat(*given).log()  # relative
    network = network.autoencoder if isinstance(network, ReconstructionDetector) else network
    return run_network(network, *given) if isinstance(network, Generator) else network(*given).float()

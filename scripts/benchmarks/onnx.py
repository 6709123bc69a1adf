"""Translating by onnxruntime beside PyTorch on this CPU: in plain fp32, and in the precision that `auto` chooses.

The shipped `facades` weights, and ResNet-9 generators of random weights. Each is exported to ONNX, which checks it, and
opened three times; what is timed is a batch of float images in, a batch of float images out, as `translate apply` does
between reading and writing. What is compared takes turns (A B C A B C ...); medians of the rounds are printed, and
PyTorch's fp32 time over each. Measure on a machine that does nothing else.

    python -m scripts.benchmarks.onnx [--threads 2] [--rounds 7] [--json FILE]
"""

import argparse
import json
import platform
import tempfile
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from scripts.benchmarks.pix2pix import Contender, measure, report
from translate.checkpoint import save_weights
from translate.config import Preprocessing, ResNetConfig, WeightsConfig
from translate.engine.display import device_name
from translate.export import export_onnx
from translate.inference import find_weights, load
from translate.networks import build_network, initialise

CPU = torch.device("cpu")


def random_resnet(folder: Path, *, width: int, size: int) -> Path:
    """Weights of a ResNet-9 that has learnt nothing."""
    network = ResNetConfig(width=width)
    name = f"ResNet-9, {width} wide"
    config = WeightsConfig(kind="translator", name=name, network=network, preprocessing=Preprocessing(size=size))
    return save_weights(initialise(build_network(network)), config, folder / f"resnet-{width}")


def compare(source: Path, folder: Path, given: argparse.Namespace, results: dict[str, Any]) -> None:
    exported = export_onnx(source, folder / "model.onnx")
    plain = load(source, device="cpu", precision="fp32")
    own = load(source, device="cpu")
    onnx = load(exported.file)
    print(f"\n{own.config.name}: at most {exported.max_difference:.2g} from PyTorch, of a range of 2")
    for batch_size in given.batches:
        images = torch.rand(batch_size, own.config.network.in_channels, given.size, given.size)
        contenders: dict[str, Contender] = {"PyTorch, fp32": lambda images=images: plain.apply_tensor(images)}
        if own.precision != "fp32":
            contenders[f"PyTorch, {own.precision} (default)"] = lambda images=images: own.apply_tensor(images)
        contenders["onnxruntime, fp32"] = lambda images=images: onnx.apply_tensor(images)
        seconds = measure(contenders, rounds=given.rounds, calls=given.calls, warmup=1, device=CPU)
        title = f"{own.config.name}, {given.size} px, batch {batch_size}"
        report(title, seconds, images=batch_size, results=results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="*", default=["facades"], help="names or paths; facades unless given")
    parser.add_argument("--widths", type=int, nargs="*", default=[48, 64], help="of the random ResNet-9 generators")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, help="of both; PyTorch's own choice unless given")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=1, help="calls a round")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__, "platform": platform.platform()}
    print(f"{device_name(CPU)}, {torch.get_num_threads()} threads, {', '.join(map(' '.join, versions.items()))}")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [find_weights(weights) for weights in given.weights]
        sources += [random_resnet(folder, width=width, size=given.size) for width in given.widths]
        for source in sources:
            compare(source, folder, given, results)
    if given.json is not None:
        setting = {key: value for key, value in vars(given).items() if key != "json"}
        setting |= {"device": device_name(CPU), "threads": torch.get_num_threads(), **versions}
        given.json.write_text(json.dumps({"setting": setting, "results": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

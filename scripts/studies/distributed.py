"""Show that two processes make the weights that one makes: fp32, six steps, R1 and an average of the weights on.

Trains under torchrun with one and with several processes on the same batches and prints the largest difference of any
weight. Dropout is off, since each process draws its own. Two comparisons:

- shares: the one process takes the others' shares as micro-batches. The same sums in the same order: expected 0.
- whole: it takes the batch at once. The sums round otherwise, and Adam divides a gradient by its own size: where it is
  almost 0, its rounding decides a part of a step as large as the learning rate. Nearly all weights agree far closer.

    python -m scripts.studies.distributed [--data DIR] [--processes 2]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from scripts.studies.resume import draw_pairs
from translate.checkpoint import load_state, saved_states
from translate.config import DataConfig, Pix2PixConfig, RunConfig, from_dict, to_dict


def run(config: Pix2PixConfig, *, processes: int) -> dict[str, torch.Tensor]:
    """Train under torchrun; the networks and averages of the last state."""
    file = config.run.out.with_suffix(".json")
    file.write_text(json.dumps(to_dict(config)), encoding="utf-8")
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *launcher, "-m", "scripts.studies.distributed", "--worker", str(file)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stdout + result.stderr)
    tensors = load_state(saved_states(config.run.out / "states")[-1]).tensors
    return {name: tensor for name, tensor in tensors.items() if name.startswith(("net.", "ema."))}


def worker(file: Path) -> None:
    from translate.engine import train

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    train(from_dict(Pix2PixConfig, json.loads(file.read_text(encoding="utf-8"))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a paired folder; pairs drawn by code unless given")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker is not None:
        worker(given.worker)
        return
    share = 2
    batch_size = share * given.processes
    with tempfile.TemporaryDirectory() as folder:
        root = given.data or draw_pairs(Path(folder) / "pairs", count=24, size=given.size)

        def config(processes: int, seed: int, micro_batch: int) -> Pix2PixConfig:
            return Pix2PixConfig(
                data=DataConfig(root=root.resolve(), size=given.size, workers=1),
                run=RunConfig(
                    out=Path(folder) / f"{processes}-{seed}-{micro_batch}",
                    images=given.steps * batch_size,
                    batch_size=batch_size,
                    micro_batch=micro_batch,
                    precision="fp32",
                    device=given.device,
                    ema_half_life=50,
                    seed=seed,
                ),
                width=given.width,
                depth=(given.size & -given.size).bit_length() - 2,  # the innermost level keeps 2x2 values
                d_width=given.width,
                d_layers=2,
                noise="never",
                r1_weight=1.0,
            )

        print(f"{given.steps} steps of {batch_size} images, fp32, {given.size} px, {given.device}")
        print(f"{'seed':>4}  {'one process takes':>17}  {'weights':>8}  {'max difference':>14}  {'99.9 % below':>12}")
        worst = {"shares": 0.0, "whole": 0.0}
        for seed in given.seeds:
            several = run(config(given.processes, seed, share), processes=given.processes)
            for name, micro_batch in (("shares", share), ("whole", batch_size)):
                one = run(config(1, seed, micro_batch), processes=1)
                apart = torch.cat([(one[key].double() - several[key].double()).abs().flatten() for key in one])
                most = apart.sort().values[int(0.999 * (len(apart) - 1))].item()
                worst[name] = max(worst[name], apart.max().item())
                print(f"{seed:>4}  {name:>17}  {len(apart):>8,}  {apart.max().item():>14.2g}  {most:>12.2g}")
    print(
        f"maximum difference: {worst['shares']:.2g} in shares (expected: under 1e-6), {worst['whole']:.2g} as a whole"
    )
    sys.exit(worst["shares"] >= 1e-6)


if __name__ == "__main__":
    main()

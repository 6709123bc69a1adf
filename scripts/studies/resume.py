"""Show that a run which is killed and started again ends with the very weights of one that was not.

Trains Pix2Pix or CycleGAN once without interruption; then again, killed with SIGKILL at random moments until it has
been killed as often as asked, each time followed by the same command. Compares networks, averages, Adam's moments,
image pools and the random state of the two last states. Everything that has state is on: dropout, R1, an average of the
weights; and pools that fill during the first half of the run and swap during the second.

    python -m scripts.studies.resume [--method cyclegan] [--data DIR] [--kills 10] [--processes 1]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from translate.checkpoint import load_state, saved_states
from translate.config import (
    CycleGANConfig,
    DataConfig,
    Pix2PixConfig,
    RunConfig,
    UnpairedDataConfig,
    from_dict,
    to_dict,
)

METHODS = {"pix2pix": Pix2PixConfig, "cyclegan": CycleGANConfig}
MethodConfig = Pix2PixConfig | CycleGANConfig


def draw_pairs(folder: Path, *, count: int, size: int, first: int = 0) -> Path:
    """Pairs of rectangles and their shaded rendering, in A/ and B/.

    The ground is a slope: of a flat one, instance normalisation would leave nothing but rounding.
    """
    slope = np.linspace(0, 120, size)
    for number in range(first, first + count):
        generator = np.random.default_rng(number)
        across, down = np.meshgrid(slope, slope)
        labels = np.stack([across, down, 120 - across], axis=-1).astype(np.uint8)
        for _ in range(6):
            left, top, width, height = generator.integers(0, size // 2, 4)
            labels[top : top + height + 4, left : left + width + 4] = generator.integers(0, 4, 3) * 85
        photo = np.clip(labels[..., ::-1] * 0.6 + 40 + generator.normal(0, 12, labels.shape), 0, 255).astype(np.uint8)
        for domain, pixels in (("A", labels), ("B", photo)):
            (folder / domain).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / domain / f"{number:04d}.png")
    return folder


def start(config: MethodConfig, *, processes: int) -> tuple[subprocess.Popen[str], list[Path]]:
    """Train in processes of their own; the launcher, and the files that will hold the workers' ids."""
    file = config.run.out.with_suffix(".json")
    file.write_text(json.dumps(to_dict(config)), encoding="utf-8")
    pids = [file.with_suffix(f".{rank}.pid") for rank in range(processes)]
    for pid in pids:
        pid.unlink(missing_ok=True)
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    method = next(name for name, kind in METHODS.items() if isinstance(config, kind))
    command = [*launcher, "-m", "scripts.studies.resume", "--worker", str(file), "--method", method]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True), pids


def finish(config: MethodConfig, *, processes: int) -> None:
    """Train to the end."""
    command, _ = start(config, processes=processes)
    output, _ = command.communicate()
    if command.returncode:
        sys.exit(output)


def kill(config: MethodConfig, *, processes: int, wait: tuple[float, float]) -> int | None:
    """Train, and kill every worker a random time after its first step; the images kept, None if it ended before."""
    states = config.run.out / "states"
    before = saved_states(states)
    command, pids = start(config, processes=processes)
    while saved_states(states) == before and command.poll() is None:
        time.sleep(0.005)
    time.sleep(random.uniform(*wait))
    if command.poll() is not None:
        output, _ = command.communicate()
        if command.returncode:
            sys.exit(output)
        return None
    for pid in pids:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    command.communicate()
    return int(saved_states(states)[-1].stem)


def worker(file: Path, *, method: str) -> None:
    from translate.engine import train

    torch.set_num_threads(1)
    file.with_suffix(f".{os.environ.get('RANK', '0')}.pid").write_text(str(os.getpid()))
    train(from_dict(METHODS[method], json.loads(file.read_text(encoding="utf-8"))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, default="pix2pix")
    parser.add_argument("--data", type=Path, help="a paired folder; pairs drawn by code unless given")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=None, help="of the moments; random unless given")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker is not None:
        worker(given.worker, method=given.method)
        return
    random.seed(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = given.data or draw_pairs(Path(folder) / "pairs", count=24, size=given.size)
        batch_size = 2 * given.processes
        total = given.steps * batch_size

        def config(name: str) -> MethodConfig:
            run = RunConfig(
                out=Path(folder) / name,
                images=total,
                batch_size=batch_size,
                ema_half_life=50,
                device=given.device,
                deterministic=given.device != "cpu",
                checkpoint_every=max(1, given.steps // 40) * batch_size,
                log_every=batch_size,
                sample_every=total,
                keep=2,
            )
            shared = {"run": run, "width": given.width, "d_width": given.width, "d_layers": 2, "r1_weight": 1.0}
            where = {"root": root.resolve(), "size": given.size, "workers": 1}
            if given.method == "pix2pix":
                return Pix2PixConfig(data=DataConfig(**where), **shared)
            # Each process has a pool of its own, which its share of the images fills.
            pool, augment = given.steps, ("colour", "translation", "cutout")
            return CycleGANConfig(
                data=UnpairedDataConfig(**where), num_blocks=1, pool_size=pool, augment=augment, **shared
            )

        whole, killed = config("whole"), config("killed")
        began = time.monotonic()
        finish(whole, processes=given.processes)
        seconds = time.monotonic() - began
        print(f"uninterrupted: {given.steps} steps of {batch_size} in {seconds:.0f} s, {given.processes} process(es)")
        done = 0
        while done < given.kills:
            # At most 1/40 of the run between two states, so that all the kills fall before its end.
            kept = kill(killed, processes=given.processes, wait=(0.0, min(2.0, seconds / given.kills / 4)))
            if kept is None:
                break
            done += 1
            print(f"kill -9 number {done}: the last state has {kept} of {total} images")
        finish(killed, processes=given.processes)
        a, b = (load_state(saved_states(run.run.out / "states")[-1]).tensors for run in (whole, killed))
        if a.keys() != b.keys():
            sys.exit(f"other tensors: {sorted(a.keys() ^ b.keys())[:5]}")
        worst = max((a[name].double() - b[name].double()).abs().max().item() for name in a)
        images = [json.loads(line)["images"] for line in (killed.run.out / "log.jsonl").read_text().splitlines()]
        print(f"log: {len(images)} lines, {len(images) - len(set(images))} of them twice")
        print(f"maximum difference of {len(a)} tensors after {done} kills: {worst:g}")
        if worst or done < given.kills or images != sorted(set(images)):
            sys.exit(1)


if __name__ == "__main__":
    main()

"""Real processes: killed at random moments, and two of them in place of one."""

import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import train_worker

from translate.checkpoint import load_state, saved_states
from translate.config import configure, to_dict

if sys.platform != "win32":
    FORKS = multiprocessing.get_context("forkserver")
    FORKS.set_forkserver_preload(["translate.engine"])
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and torchrun as on Unix")


def elsewhere(config, name):
    return replace(config, run=replace(config.run, out=config.run.out.with_name(name)))


class Processes:
    """Processes that train together, and what they print.

    They are forked from a server that has imported PyTorch: started by `torchrun`, each would take seconds for it.
    """

    def __init__(self, config, count):
        given = written(config)
        self.outputs = [given.with_suffix(f".{rank}.txt") for rank in range(count)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        self.running = [
            FORKS.Process(
                target=train_worker.forked, args=(given, {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}, file)
            )
            for rank, file in enumerate(self.outputs)
        ]
        for process in self.running:
            process.start()

    def ended(self):
        """Their exit codes and all that they printed; what takes too long is killed, and has the code of that."""
        for process in self.running:
            process.join(timeout=120)
        self.kill()
        for process in self.running:
            process.join()
        return [process.exitcode for process in self.running], "".join(file.read_text() for file in self.outputs)

    def kill(self):
        for process in self.running:
            process.kill()

    def is_running(self):
        return all(process.exitcode is None for process in self.running)


def written(config):
    given = config.run.out.with_suffix(".json")
    given.write_text(json.dumps(to_dict(config)), encoding="utf-8")
    return given


def finish(config, *, processes=1):
    codes, output = Processes(config, processes).ended()
    assert codes == [0] * processes, output
    return output


def wait_for_a_state(config, before, is_running):
    """Wait until a new state is saved, then a random while; no longer than what saves it runs."""
    deadline = time.monotonic() + 90
    while saved_states(config.run.out / "states") == before and is_running() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.uniform(0.0, 0.2))
    return saved_states(config.run.out / "states") != before


def kill_in_the_midst(config, *, processes=1):
    before = saved_states(config.run.out / "states")
    started = Processes(config, processes)
    saved = wait_for_a_state(config, before, started.is_running)
    started.kill()
    codes, output = started.ended()
    assert saved, f"nothing was saved: {output}"
    assert codes == [-signal.SIGKILL] * processes, f"it had ended before the signal: {output}"


def torchrun(config, *, terminate=False):
    """Two processes by `torchrun`, to their end or to a SIGTERM in their midst; what is printed."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    }
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    before = saved_states(config.run.out / "states")
    with subprocess.Popen(
        [*launcher, train_worker.__file__, str(written(config))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "OMP_NUM_THREADS": "1"},
    ) as command:
        if terminate:
            saved = wait_for_a_state(config, before, lambda: command.poll() is None)
            command.send_signal(signal.SIGTERM)
        try:
            output, _ = command.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            command.kill()
            raise
    assert saved if terminate else command.returncode == 0, output
    return output


def final(config):
    """The last state's tensors and the images logged."""
    newest = saved_states(config.run.out / "states")[-1]
    assert int(newest.stem) == config.run.images
    lines = (config.run.out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return load_state(newest).tensors, [json.loads(line)["images"] for line in lines]


@pytest.fixture
def long_config(make_config):
    """Enough steps that a signal comes in their midst; all that has state is on."""
    return make_config(
        images=100, batch_size=2, noise="training", r1_weight=1.0, ema_half_life=20.0, checkpoint_every=14,
        log_every=10, sample_every=50, keep=2,
    )  # fmt: skip


def test_killed_and_resumed_equals_uninterrupted(long_config, open_session, assert_equal):
    whole = elsewhere(long_config, "whole")
    torch.set_num_threads(1)
    open_session(whole).train()
    kill_in_the_midst(long_config)
    assert int(saved_states(long_config.run.out / "states")[-1].stem) < 100
    output = finish(long_config)
    assert "resuming after" in output
    (tensors, images), (expected, expected_images) = final(long_config), final(whole)
    assert_equal(tensors, expected)
    assert images == expected_images == list(dict.fromkeys(images))


def test_two_processes_signalled_killed_and_resumed_equal_uninterrupted(long_config, assert_equal):
    whole = elsewhere(long_config, "whole")
    finish(whole, processes=2)
    assert "Run the same command again to resume" in " ".join(torchrun(long_config, terminate=True).split())
    kill_in_the_midst(long_config, processes=2)
    output = torchrun(long_config)
    assert output.count("resuming after") == 1  # said by one of them
    (tensors, images), (expected, _) = final(long_config), final(whole)
    assert tensors["rng/cpu"].shape[0] == 2
    assert not torch.equal(*tensors["rng/cpu"])  # each draws its own noise
    assert_equal(tensors, expected)
    assert images == sorted(set(images))


def test_each_of_two_processes_gets_its_own_pool_back(make_config, assert_equal):
    config = make_config(
        method="cyclegan", images=80, batch_size=2, pool_size=30, checkpoint_every=14, log_every=10, sample_every=500
    )
    whole = elsewhere(config, "whole")
    finish(whole, processes=2)
    kill_in_the_midst(config, processes=2)
    pool = load_state(saved_states(config.run.out / "states")[-1]).tensors["recipe/pool_a.images"]
    assert pool.shape[:2] == (2, 30)
    assert not torch.equal(pool[0], pool[1])
    assert (pool[:, -1] == 0).all()  # not full when it was killed
    finish(config, processes=2)
    assert_equal(final(config)[0], final(whole)[0])


def test_two_processes_equal_one(make_config, open_session):
    """Exactly, where one process takes the two shares as micro-batches; but for rounding, where it takes them at once.

    Rounding is compared at a tenth of the usual rate: where a gradient is almost 0, Adam makes steps of its rounding.
    """
    given = {"images": 24, "batch_size": 4, "noise": "never", "r1_weight": 1.0, "ema_half_life": 20.0}
    for rate, micro_batch, atol in ((2e-4, 2, 0.0), (2e-5, 4, 1e-6)):
        two = elsewhere(make_config(**given, learning_rate=rate), f"two-{rate}")
        one = elsewhere(make_config(**given, learning_rate=rate, micro_batch=micro_batch), f"one-{rate}")
        session = open_session(one)
        before = session.tensors()["g.down.1.conv.weight"]
        session.train()
        finish(two, processes=2)
        expected, found = final(one)[0], final(two)[0]
        kept = [name for name in expected if name.startswith(("net.", "ema."))]
        assert len(kept) > 20
        assert max((expected[name] - found[name]).abs().max().item() for name in kept) <= atol
        assert (expected["net.g/down.1.conv.weight"] - before).abs().max() > 3 * rate  # they did move
        logged = json.loads((two.run.out / "log.jsonl").read_text().splitlines()[-1])["losses"]
        assert logged == pytest.approx(session.engine.losses, rel=1e-5)


def test_two_processes_grow_a_stylegan_as_one_does(tmp_path):
    """With R1, mixed styles, noise, and a size that fades in: one process takes the shares as micro-batches."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=pixels, labels=np.arange(40) % 3)
    one = configure(
        "stylegan", root=tmp_path / "set.npz", out=tmp_path / "one", images=112, batch_size=8, micro_batch=4,
        device="cpu", precision="fp32", keep=1, conditional=True, width=4, latent=6, style_dim=7, r1_weight=3.0,
        path_weight=0.0, stay_images=16, fade_images=48,
    )  # fmt: skip
    two = replace(one, run=replace(one.run, out=tmp_path / "two", micro_batch=None))
    finish(one)
    finish(two, processes=2)
    expected, found = final(one)[0], final(two)[0]
    # The mean style is that of a process's own latents; it has no part in what is learned.
    kept = [name for name in expected if name.startswith(("net.", "ema.")) and not name.endswith("mapping.average")]
    assert len(kept) > 60
    assert max((expected[name] - found[name]).abs().max().item() for name in kept) == 0.0

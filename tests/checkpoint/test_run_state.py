"""States of a run: exact, whole or refused, the last few kept."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from translate.checkpoint import RunState, StateError, WriteError, latest_state, load_state, save_state, saved_states
from translate.checkpoint.run_state import optimizer_tensors, owned, prefixed, restore_optimizer, state_path


def state(seed: int = 0, *, size: int = 16) -> RunState:
    generator = torch.Generator().manual_seed(seed)
    return RunState(
        tensors={
            "net.g/weight": torch.randn(size, size, generator=generator),
            "net.g/half": torch.randn(3, generator=generator).bfloat16(),
            "rng/cpu": torch.get_rng_state(),
            "optimizer.g/0.step": torch.tensor(7.0),
            "empty": torch.zeros(0, 3),
        },
        values={"images": 80, "losses": {"g": 0.1 + 0.2}, "scalers": {"g": {}}, "config": {"name": "é"}},
    )


def assert_equal(one: RunState, other: RunState) -> None:
    assert one.values == other.values
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == other.tensors[name].dtype
        assert torch.equal(tensor, other.tensors[name])


def test_a_state_comes_back_exactly(tmp_path):
    path = save_state(state(), tmp_path / "states", images=80, keep=2)
    assert path == state_path(tmp_path / "states", 80)
    assert_equal(load_state(path), state())


def test_channels_last_tensors_come_back(tmp_path):
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    path = save_state(RunState(tensors={"w": weight}, values={}), tmp_path, images=1, keep=1)
    assert torch.equal(load_state(path).tensors["w"], weight)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_few_are_kept(tmp_path, keep):
    for images in (5, 40, 300, 2000):
        save_state(state(images), tmp_path, images=images, keep=keep)
    assert [int(path.stem) for path in saved_states(tmp_path)] == [5, 40, 300, 2000][-keep:]


def test_states_are_in_the_order_of_their_images_beyond_ten_digits(tmp_path):
    for images in (9_999_999_999, 10_000_000_000):
        save_state(state(), tmp_path, images=images, keep=2)
    assert [int(path.stem) for path in saved_states(tmp_path)] == [9_999_999_999, 10_000_000_000]


def test_saving_the_same_state_again_replaces_it(tmp_path):
    save_state(state(1), tmp_path, images=10, keep=2)
    path = save_state(state(2), tmp_path, images=10, keep=2)
    assert saved_states(tmp_path) == [path]
    assert_equal(load_state(path), state(2))


# Torn and foreign files


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_state(state(), tmp_path / "states", images=80, keep=2)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_torn_state_is_refused_by_name(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StateError, match=rf"{saved.name} is truncated or unreadable"):
        load_state(saved)


def test_a_state_with_something_appended_is_refused(saved):
    saved.write_bytes(saved.read_bytes() + b"\0" * 8)
    with pytest.raises(StateError, match="truncated"):
        load_state(saved)


@pytest.mark.parametrize(
    "metadata", [None, {"translate.run": "{"}, {"translate.run": "[]"}, {"translate.run": "{}"}, {"other": "{}"}]
)
def test_a_foreign_file_is_refused(saved, metadata):
    save_file({"a": torch.zeros(2)}, saved, metadata=metadata)
    with pytest.raises(StateError, match=r"is not a run state that translate wrote"):
        load_state(saved)


def test_a_state_of_another_version_is_refused(saved):
    save_file({"a": torch.zeros(2)}, saved, metadata={"translate.run": '{"version": 99}'})
    with pytest.raises(StateError, match=r"has state version 99, and this release reads 1"):
        load_state(saved)


def test_a_pickle_is_refused(saved):
    torch.save({"a": torch.zeros(2)}, saved)
    with pytest.raises(StateError, match="truncated or unreadable"):
        load_state(saved)


def test_the_older_state_is_taken_when_the_newest_is_torn(tmp_path):
    save_state(state(1), tmp_path, images=10, keep=2)
    newest = save_state(state(2), tmp_path, images=20, keep=2)
    newest.write_bytes(newest.read_bytes()[:100])
    found = latest_state(tmp_path)
    assert found is not None
    assert_equal(found[0], state(1))
    assert len(found[1]) == 1
    assert newest.name in found[1][0]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_torn_newer_state_does_not_crowd_out_the_next_save(tmp_path, keep):
    save_state(state(1), tmp_path, images=10, keep=2)
    newest = save_state(state(2), tmp_path, images=20, keep=2)
    newest.write_bytes(b"torn")
    saved = save_state(state(3), tmp_path, images=15, keep=keep)  # the run went back to 10 and on to 15
    assert saved_states(tmp_path) == [state_path(tmp_path, 10), saved][-keep:]
    found = latest_state(tmp_path)
    assert found is not None
    assert_equal(found[0], state(3))
    assert found[1] == []


def test_nothing_saved_and_nothing_readable_are_told_apart(tmp_path):
    assert latest_state(tmp_path / "nothing") is None
    (tmp_path / "0000000010.safetensors").write_bytes(b"torn")
    with pytest.raises(StateError, match=r"0000000010\.safetensors is truncated .*Remove .* to start over"):
        latest_state(tmp_path)


# What cannot be written


def test_an_unwritable_folder_leaves_the_states_as_they_are(tmp_path, monkeypatch):
    old = save_state(state(1), tmp_path, images=10, keep=1)

    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(WriteError, match=r"cannot be written .*: free some space.* Nothing was changed"):
        save_state(state(2), tmp_path, images=20, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == [old.name]
    assert_equal(load_state(old), state(1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_really_full_disk(small_disk):
    old = save_state(state(1, size=300), small_disk, images=10, keep=1)
    with pytest.raises(WriteError, match=r"0000000020\.safetensors cannot be written .*free some space"):
        save_state(state(2, size=500), small_disk, images=20, keep=1)
    assert [path.name for path in small_disk.iterdir()] == [old.name]
    assert_equal(load_state(old), state(1, size=300))


def test_what_a_killed_process_left_is_removed_by_the_next_save(tmp_path):
    for name in (".0000000010.safetensors.1a2b3c4d.part", ".tmpAb12Cd"):
        (tmp_path / name).write_bytes(b"half")
    path = save_state(state(), tmp_path, images=20, keep=1)
    assert list(tmp_path.iterdir()) == [path]


# Owners and optimizers


def test_owners():
    tensors = {"weight": torch.zeros(1), "a/b": torch.ones(1)}
    both = prefixed(tensors, "net.g") | prefixed({"weight": torch.ones(2)}, "net.g2")
    assert owned(both, "net.g") == tensors
    assert owned(both, "net") == {}


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_an_optimizer_goes_on_exactly(tmp_path, kind):
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))

    def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
        if kind == "adam":
            return torch.optim.Adam(net.parameters(), lr=0.1, betas=(0.5, 0.999))
        return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()

    whole = network()
    optimizer = optimizer_of(whole)
    for seed in range(3):
        step(whole, optimizer, seed)
    tensors = prefixed(whole.state_dict(), "net.g") | prefixed(optimizer_tensors(optimizer), "optimizer.g")
    path = save_state(RunState(tensors=tensors, values={}), tmp_path, images=3, keep=1)
    for seed in range(3, 6):
        step(whole, optimizer, seed)

    resumed = network()
    fresh = optimizer_of(resumed)
    for group in fresh.param_groups:
        group["lr"] = 0.1
    loaded = load_state(path).tensors
    resumed.load_state_dict(owned(loaded, "net.g"))
    restore_optimizer(fresh, owned(loaded, "optimizer.g"))
    for seed in range(3, 6):
        step(resumed, fresh, seed)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_what_belongs_to_a_weight_is_laid_out_like_it(tmp_path):
    """Fused Adam on CUDA refuses anything else, and files hold no channels_last."""
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(1, 3, 8, 8)).square().sum().backward()
    optimizer.step()
    before = optimizer.state[network.weight]["exp_avg"].clone()
    path = save_state(RunState(tensors=optimizer_tensors(optimizer), values={}), tmp_path, images=1, keep=1)
    restore_optimizer(optimizer, load_state(path).tensors)
    for name in ("exp_avg", "exp_avg_sq"):
        assert optimizer.state[network.weight][name].stride() == network.weight.stride()
    assert torch.equal(optimizer.state[network.weight]["exp_avg"], before)


def test_an_optimizer_keeps_the_learning_rate_of_its_schedule():
    network = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.3)
    restore_optimizer(optimizer, {})
    assert optimizer.param_groups[0]["lr"] == 0.3

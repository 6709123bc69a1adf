"""How many threads a command takes, beside other programs."""

from types import SimpleNamespace

import psutil
import pytest
import torch
from PIL import Image

from translate.cli import main
from translate.inference import threads as threads_module
from translate.inference.threads import Neighbours, threads_of_process


class Times(tuple):
    """As psutil's: a tuple with names."""

    def __new__(cls, **given):
        made = super().__new__(cls, given.values())
        vars(made).update(given)
        return made


@pytest.fixture
def machine(monkeypatch):
    """A clock, the cores' time at work and this process's, to be moved on; of a machine of four cores."""
    state = SimpleNamespace(clock=100.0, work=50.0, own=3.0, elsewhere=0.0)

    def cpu_times(*, percpu):  # a guest's time is in the user's as well
        assert percpu
        each = Times(user=state.work / 4 + 9, nice=0.0, idle=900.0, iowait=5.0, guest=7.0, guest_nice=2.0)
        return [Times(user=state.elsewhere, nice=0.0, idle=0.0), each, each, each, each]

    monkeypatch.setattr(psutil, "cpu_times", cpu_times)
    monkeypatch.setattr(threads_module, "_allowed", lambda: {1, 2, 3, 4})
    monkeypatch.setattr(threads_module.time, "monotonic", lambda: state.clock)
    monkeypatch.setattr(threads_module.time, "process_time", lambda: state.own)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return state


@pytest.mark.parametrize(
    ("others", "own", "most", "expected"),
    [(0.0, 1.0, 4, 4), (0.4, 1.0, 4, 4), (1.0, 1.0, 4, 3), (2.0, 0.3, 2, 1), (3.0, 0.0, 4, 1), (4.0, 0.9, 4, 1)],
)
def test_threads_are_the_idle_cores(machine, others, own, most, expected):
    neighbours = Neighbours()
    machine.clock += 2
    machine.work += 2 * (others + own)
    machine.own += 2 * own
    machine.elsewhere += 2  # a core that this process may not use
    assert neighbours.busy() == pytest.approx(others)
    assert neighbours.threads(most) == expected


def test_the_environment_decides(machine, monkeypatch):
    neighbours = Neighbours()
    machine.clock += 1
    machine.work += 4
    assert neighbours.threads(4) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert neighbours.threads(4) == 4


def test_what_is_asked_at_once_is_no_division_by_zero():
    assert 1 <= Neighbours().threads(2) <= 2


def test_threads_of_a_process(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_of_process() == 3
    for unusable in ("", "0", "all"):
        monkeypatch.setenv("OMP_NUM_THREADS", unusable)
        assert threads_of_process() >= 1


def test_a_command_takes_the_threads_that_it_is_told(tiny_weights, tmp_path, monkeypatch):
    Image.new("RGB", (16, 16)).save(tmp_path / "in.png")
    before = torch.get_num_threads()
    try:
        arguments = ["apply", str(tiny_weights), str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]
        assert main([*arguments, "--threads", "3"]) == 0
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)

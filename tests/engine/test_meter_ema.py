"""The meter's means, the average's pace, and the log's lines."""

import json
import math

import pytest
import torch
from torch import nn

from translate.checkpoint import WriteError
from translate.engine.distributed import World
from translate.engine.ema import EMA
from translate.engine.log import RunLog
from translate.engine.meter import Meter

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def test_means_are_over_the_values_of_each_term():
    meter = Meter(ALONE)
    for value in (1.0, 2.0, 6.0):
        meter.add({"g": torch.tensor(value, requires_grad=True)})
    meter.add({"d": torch.tensor(0.5, dtype=torch.bfloat16), "g": torch.tensor(7.0)})
    assert meter.read() == {"g": 4.0, "d": 0.5}
    assert meter.broken == []
    assert meter.read() == {}
    meter.add({"d": torch.tensor(3.0)})
    assert meter.read() == {"d": 3.0}


def test_the_first_to_break_is_named():
    meter = Meter(ALONE)
    nan = torch.tensor(math.nan)
    for d, g in ((1.0, 1.0), (1.0, math.inf), (math.nan, math.nan), (1.0, 1.0)):
        meter.add({"d": torch.tensor(d)})
        meter.add({"g": torch.tensor(g), "l1": nan if math.isnan(d) else torch.tensor(1.0)})
    means = meter.read()
    assert not any(math.isfinite(mean) for mean in means.values())
    assert meter.broken == ["g"]
    meter.add({"d": torch.tensor(1.0)})
    assert meter.read() == {"d": 1.0}
    assert meter.broken == []


def test_ema_has_its_half_life_in_images_whatever_the_batch():
    for batch_size in (1, 4):
        net = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(net.weight)
        ema = EMA({"g": net}, half_life=8.0)
        nn.init.ones_(net.weight)
        for _ in range(8 // batch_size):
            ema.update(batch_size)
        assert ema.nets["g"].weight.item() == pytest.approx(0.5, abs=1e-6)
    assert not ema.nets["g"].weight.requires_grad
    assert not ema.nets["g"].training


def test_ema_takes_over_buffers_as_they_are():
    net = nn.BatchNorm2d(2)
    ema = EMA({"g": net}, half_life=100.0)
    net(torch.randn(4, 2, 3, 3) + 5)
    ema.update(4)
    assert torch.equal(ema.nets["g"].running_mean, net.running_mean)
    assert ema.nets["g"].num_batches_tracked == 1


def entry(images, loss=1.0):
    return {"images": images, "images_per_second": 1.0, "learning_rate": 1e-4, "memory_gb": 0.1, "losses": {"g": loss}}


def test_log_lines(tmp_path):
    log = RunLog(tmp_path)
    for images, loss in ((10, 1.0), (20, math.nan), (30, math.inf)):
        log.write(entry(images, loss))
    log.close()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert '"g": NaN' in lines[1]
    assert '"g": Infinity' in lines[2]
    assert math.isnan(json.loads(lines[1])["losses"]["g"])


def test_cut_drops_later_and_torn_lines(tmp_path):
    log = RunLog(tmp_path)
    log.cut(after=0)  # nothing is there yet
    for images in (10, 20, 30):
        log.write(entry(images))
    log.close()
    with log.path.open("a") as file:
        file.write('{"images": 40, "los')
    log.cut(after=20)
    assert [json.loads(line)["images"] for line in log.path.read_text().splitlines()] == [10, 20]
    log.write(entry(30))
    log.close()
    assert [json.loads(line)["images"] for line in log.path.read_text().splitlines()] == [10, 20, 30]


def test_other_processes_write_nothing(tmp_path):
    log = RunLog(tmp_path, enabled=False)
    log.write(entry(10))
    log.cut(after=0)
    assert not list(tmp_path.iterdir())


def test_a_log_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(WriteError, match=r"log\.jsonl cannot be written"):
        RunLog(tmp_path).write(entry(10))


def test_ema_ramp_up_bounds_the_half_life_by_what_was_seen():
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    ema = EMA({"g": net}, half_life=100.0, ramp_up=0.5)
    torch.nn.init.ones_(net.weight)
    ema.update(10, seen=10)  # a half-life of 10 images: half of the way
    assert float(ema.nets["g"].weight) == pytest.approx(0.5)
    ema.update(10, seen=10**6)  # and of 100, once there is so much behind
    assert float(ema.nets["g"].weight) == pytest.approx(1 - 0.5 * 0.5**0.1)

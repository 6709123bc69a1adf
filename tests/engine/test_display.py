"""What is said, on a terminal and elsewhere."""

import io

import torch
from rich.console import Console

from translate.engine.display import Display, device_name, duration, memory_gb

ENTRY = {"losses": {"g_l1": 12.345, "d": 0.5}, "memory_gb": 1.26}


def test_plain_lines_where_there_is_no_terminal():
    text = io.StringIO()
    display = Display(console=Console(file=text, width=40, highlight=False))
    display.start(images=100, total=1000)
    display.advance(500)
    display.report(ENTRY)
    display.say("a line [that] is longer than forty columns is not broken where it goes to a file")
    display.stop()
    first, second = text.getvalue().splitlines()
    for part in ("500/1,000", "50%", "img/s", "left", "1.3 GB", "g_l1 12.3", "d 0.5"):
        assert part in first
    assert second.endswith("[that] is longer than forty columns is not broken where it goes to a file")


def test_a_live_line_on_a_terminal():
    text = io.StringIO()
    display = Display(console=Console(file=text, force_terminal=True, width=80))
    display.start(images=0, total=10)
    display.advance(10)
    display.report(ENTRY)
    display.say("stays")
    display.stop()
    shown = text.getvalue()
    assert "10/10 100%" in shown
    assert "stays" in shown
    display.stop()  # twice does no harm


def test_silent_where_it_is_not_enabled(capsys):
    display = Display(enabled=False)
    display.start(images=0, total=10)
    display.advance(1)
    display.report(ENTRY)
    display.say("nothing")
    display.stop()
    assert capsys.readouterr().out == ""


def test_the_time_left_follows_the_recent_speed(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("translate.engine.display.time.monotonic", lambda: now[0])
    text = io.StringIO()
    display = Display(console=Console(file=text, width=200, highlight=False))
    display.start(images=0, total=10_000)
    for step in range(1, 501):  # ten images a second at first, then two
        now[0] += 1.0 if step <= 300 else 5.0
        display.advance(step * 10)
    display.report(ENTRY)
    assert "5,000/10,000" in text.getvalue()
    assert "2.0 img/s" in text.getvalue()
    assert "41:40 left" in text.getvalue()


def test_words():
    assert [duration(seconds) for seconds in (5, 62, 4000)] == ["0:05", "1:02", "1:06:40"]
    assert 0 < memory_gb(torch.device("cpu")) < 1000
    assert "CPU" in device_name(torch.device("cpu"))

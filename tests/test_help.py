"""What ``--help`` says: of every option, in a sentence that begins with what it is, and never "None"."""

import dataclasses
from typing import get_args, get_type_hints

import pytest

from translate.cli.anomaly import Anomaly
from translate.cli.main import COMMANDS, command, main, parsed
from translate.cli.options import field_help
from translate.cli.train import Train
from translate.config import METHODS


def leaves():
    """The classes whose fields are options, of every command, once."""
    kinds = [command(name)[0] for name in COMMANDS]
    found = [kind for kind in kinds if kind not in (Train, Anomaly)]
    for name, method in METHODS.items():
        if method.is_command:
            hints = get_type_hints(METHODS[name].config)
            found += [method.config, hints["data"], hints["run"]]
    parts = get_args(get_type_hints(Anomaly, include_extras=True)[dataclasses.fields(Anomaly)[0].name])
    found += [get_args(part)[0] for part in get_args(parts[0])]
    return list(dict.fromkeys(kind for kind in found if dataclasses.is_dataclass(kind)))


def options():
    return [
        (kind, field.name)
        for kind in leaves()
        for field in dataclasses.fields(kind)
        if field.name not in ("data", "run")
    ]


def test_there_are_many():
    assert len(leaves()) > 25
    assert len(options()) > 200


@pytest.mark.parametrize(("kind", "name"), options(), ids=lambda value: getattr(value, "__name__", value))
def test_each_option_says_what_it_is(kind, name):
    said = field_help(kind, name)
    assert said, f"{kind.__name__}.{name} has no help"
    assert not said.startswith(("Of ", "As ", "So many"))
    assert said[0].isupper() or said[0].isdigit()
    assert said.rstrip()[-1] in ".)"
    for word in (" looks", "judge", "unless given"):
        assert word not in said


@pytest.mark.parametrize("words", [*COMMANDS, "train pix2pix", "train vae", "anomaly fit", "anomaly score"])
def test_help_shows_no_none(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: translate {words} [-h] ")
    assert len(said) > 500
    assert "None" not in said.replace("none", "")
    assert "(default: )" not in said


def test_auto_is_what_an_option_has_by_default():
    given, _ = parsed(["apply", "facades", "a.png", "-o", "b.png", "--quality", "auto"])
    assert given.quality is None


@pytest.mark.parametrize("words", [[], ["--help"], ["inof", "facades"]])
def test_without_a_command_all_are_named(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = "".join(capsys.readouterr())
    assert ended.value.code == (0 if words == ["--help"] else 2)
    for name in COMMANDS:
        assert name in said

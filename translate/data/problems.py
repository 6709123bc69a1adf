"""What is wrong with a data set, and how to fix it: training raises the first, the doctor collects them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from translate.config.errors import TranslateError

Severity = Literal["error", "warning", "hint"]


class LayoutError(TranslateError, ValueError):
    """A folder is not the data set that was asked for: what was seen, and the fix.

    Args:
        what: What was seen.
        fix: What to do about it; empty where `what` says it.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what}; {fix}" if fix else what)
        self.what, self.fix = what, fix


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something about a data set that its owner should know."""

    kind: str
    """A word for machines: "unreadable", "unmatched", ..."""
    severity: Severity
    """error: training refuses it; warning: training survives it; hint: nothing is wrong."""
    what: str
    fix: str
    files: tuple[Path, ...] = ()
    """The files that it is about, where it is about some."""


class Problems:
    """What is noticed while a data set is looked at.

    Args:
        collect: Keep what training would refuse and go on, as far as one can, instead of raising it.
    """

    def __init__(self, *, collect: bool = False) -> None:
        self.collect = collect
        self.found: list[Problem] = []

    @property
    def refused(self) -> list[Problem]:
        """What training would not start with."""
        return [problem for problem in self.found if problem.severity == "error"]

    def note(
        self, kind: str, what: str, fix: str, *, files: Sequence[Path] = (), severity: Severity = "warning"
    ) -> None:
        """Something that training survives."""
        problem = Problem(kind=kind, severity=severity, what=what, fix=fix, files=tuple(files))
        if problem not in self.found:
            self.found.append(problem)

    def refuse(self, kind: str, what: str, fix: str, *, files: Sequence[Path] = ()) -> None:
        """Something that training does not start with.

        Raises:
            LayoutError: unless such things are collected.
        """
        if not self.collect:
            raise LayoutError(what, fix)
        self.note(kind, what, fix, files=files, severity="error")


def counted(count: int, noun: str) -> str:
    """So many of them: "1 file", "2,000 files"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def be(count: int) -> str:
    """The verb for so many."""
    return "is" if count == 1 else "are"


def have(count: int) -> str:
    """The verb for so many."""
    return "has" if count == 1 else "have"

"""The command line: ``translate --help``."""

from translate.cli.main import main

__all__ = ["main"]

"""The one training loop and what it stands on."""

from translate.engine.display import Display
from translate.engine.engine import Engine
from translate.engine.errors import TrainingError
from translate.engine.train import train

__all__ = ["Display", "Engine", "TrainingError", "train"]

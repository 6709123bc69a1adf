"""Trains what a JSON file says; run by tests as a process of its own, or as several by torchrun.

Leaves its process id beside the file, as ``<file>.<rank>.pid``, so that a test can end it.
"""

import json
import os
import sys
from pathlib import Path

import torch

from translate.config import CycleGANConfig, Pix2PixConfig, StyleGANConfig, from_dict
from translate.engine import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    given = Path(sys.argv[1])
    given.with_suffix(f".{os.environ.get('RANK', '0')}.pid").write_text(str(os.getpid()))
    values = json.loads(given.read_text(encoding="utf-8"))
    kind = {"cycle_weight": CycleGANConfig, "fade_images": StyleGANConfig}
    train(from_dict(next((found for name, found in kind.items() if name in values), Pix2PixConfig), values))

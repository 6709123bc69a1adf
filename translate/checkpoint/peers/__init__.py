"""Weights that other projects saved: pytorch-CycleGAN-and-pix2pix and contrastive-unpaired-translation (CUT)."""

from translate.checkpoint.peers.importing import Statistics, import_weights, in_words, save_checked

__all__ = ["Statistics", "import_weights", "in_words", "save_checked"]

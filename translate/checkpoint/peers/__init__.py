"""Weights that other projects saved: pytorch-CycleGAN-and-pix2pix, CUT, and stylegan2-pytorch (rosinality)."""

from translate.checkpoint.peers.importing import Statistics, import_weights, in_words, save_checked

__all__ = ["Statistics", "import_weights", "in_words", "save_checked"]

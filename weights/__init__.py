"""Trained networks that ship with translate: ``<name>/{model.safetensors, config.json, README.md}``."""

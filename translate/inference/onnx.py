"""Networks in ONNX, run by onnxruntime on the CPU, where they are often faster than in PyTorch.

Everything around the network stays the translator's. Arithmetic is fp32. ONNX knows no seed: weights that keep their
dropout on (noise ``always``) have an input for the noise of each dropout. It is drawn here, by PyTorch's own dropout,
so that a seed gives the picture that it gives from safetensors. Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from translate.config.networks import ConditionalResNetConfig
from translate.config.weights import WeightsConfig
from translate.inference.onnx_file import OnnxFile
from translate.networks import Generator, blank_network


class OnnxNetwork(Generator):
    """A generator (or segmenter) that onnxruntime computes, in fp32.

    Args:
        file: The opened file.
    """

    def __init__(self, file: OnnxFile) -> None:
        super().__init__()
        described = blank_network(file.config.network)
        assert isinstance(described, Generator)
        self.file, self.config = file, file.config.network
        self._step, self._least = described.stride, described.minimum_size
        self.stride, self.minimum_size = (1, 1) if file.any_sides else (self._step, self._least)
        self.reach = None if file.noise else described.reach
        self.dropouts = nn.ModuleList(nn.Dropout(one.probability) for one in file.noise)
        self._codes: Tensor | None = None
        if isinstance(self.config, ConditionalResNetConfig) and self.config.num_styles:
            self._codes = torch.eye(self.config.num_styles)

    @property
    def step(self) -> int:
        """The stride of the network in the graph, which may pad by itself."""
        return self._step

    @property
    def named_codes(self) -> Tensor | None:
        """[K, K]: one share each."""
        return self._codes

    def forward(self, images: Tensor, codes: Tensor | None = None) -> Tensor:
        """Translate.

        Args:
            images: [N, C_in, H, W] in [-1, 1], on the CPU.
            codes: [N, K], of a network with named styles: the share of each; the first alone unless given. Of one for
                the style of any image what `encode_style` found, of the images themselves unless given: [N, D].

        Returns:
            [N, C_out, H, W].
        """
        number, _, height, width = images.shape
        tall, wide = (-(-max(side, self._least) // self._step) * self._step for side in (height, width))
        if self._codes is not None and codes is None:
            codes = self._codes[:1].expand(number, -1)
        elif isinstance(self.config, ConditionalResNetConfig) and codes is None:
            codes = self.encode_style(images)
        noise = {}
        for one, dropout in zip(self.file.noise, self.dropouts, strict=True):
            layout = torch.channels_last if one.channels_last else torch.contiguous_format
            shape = number, one.channels, tall // one.stride, wide // one.stride
            noise[one.name] = dropout(torch.ones(shape).contiguous(memory_format=layout)).numpy(force=True)
        code = None if codes is None else codes.numpy(force=True)
        return torch.from_numpy(self.file.run(images.numpy(force=True), code=code, noise=noise))

    def encode_style(self, images: Tensor) -> Tensor:
        """The codes of the styles of images, by the encoder beside the file: [N, 3, H, W] in [-1, 1] -> [N, D].

        Raises:
            WeightsError: it is not there, or no ONNX file.
        """
        return torch.from_numpy(self.file.encode_style(images.numpy(force=True)))


def load_onnx(file: Path, *, encoder: Path | None = None) -> tuple[OnnxNetwork, WeightsConfig]:
    """Open a network that `translate export --format onnx` wrote, on as many threads as PyTorch has.

    Args:
        file: Of the network.
        encoder: Of what finds styles, where that is not the file beside it.

    Raises:
        WeightsError: as `OnnxFile`.
    """
    opened = OnnxFile(file, encoder=encoder, threads=torch.get_num_threads())
    return OnnxNetwork(opened), opened.config

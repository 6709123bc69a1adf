"""Autoencoders of any kind, ready to use: images to latents and back, new images, interpolations.

Conventions: PIL images in and out; latents are NumPy arrays, float32 [N, D]. An image of another size is resized to
cover the model's square and cropped in the middle. Tensors, where they are taken, are [N, C, S, S] in [-1, 1].

Shapes: N images, C channels, S side, D latents, s side of a square of codes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from translate.config.networks import ConvAutoencoderConfig, DenseAutoencoderConfig, VQVAENetworkConfig
from translate.config.weights import WeightsConfig
from translate.data.batches import to_signed
from translate.data.images import ImageError, Picture, from_pil, to_pil
from translate.data.ranges import missing
from translate.data.store import Format, crop, fitted_size, resize, to_format
from translate.data.values import decoded
from translate.inference.device import choose_device
from translate.inference.errors import InferenceError, a_kind
from translate.networks import Autoencoder, VQVAENetwork

AT_ONCE = 256  # images


class Framing:
    """Images of any size as tensors that a network takes, and back.

    Args:
        config: What the weights say: size, channels, depth.
    """

    def __init__(self, config: WeightsConfig) -> None:
        self.size, self.fit = config.preprocessing.size, config.preprocessing.fit
        preprocessing = config.preprocessing
        self.format = Format(
            channels=config.network.in_channels, bits=preprocessing.bits, encoding=preprocessing.source
        )

    def prepared(self, images: Sequence[Image.Image | Picture]) -> Tensor:
        """The middle square of each image, or the whole of it squashed, at the network's size: [N, C, S, S] in [-1, 1].

        Raises:
            InferenceError: there are none, or one has other bands than the network takes.
        """
        if not images:
            raise InferenceError("no images were given")
        rows = []
        for image in images:
            try:
                pixels = to_format(image if isinstance(image, Picture) else from_pil(image), self.format)
            except ImageError as error:
                raise InferenceError(f"an image {error}") from None
            width, height = fitted_size(pixels.shape[1], pixels.shape[0], side=self.size, fit=self.fit)
            rows.append(crop(resize(pixels, width=width, height=height), size=self.size, left=0.5, top=0.5))
        return to_signed(torch.from_numpy(np.stack(rows)))

    def seen(self, image: Image.Image | Picture, *, longest: int = 1024) -> Tensor:
        """What `prepared` takes of an image, in its own proportions and size: [1, C, H, W] in [-1, 1].

        Args:
            image: As for `prepared`.
            longest: The longer side is made smaller to fit into so many pixels.
        """
        pixels = to_format(image if isinstance(image, Picture) else from_pil(image), self.format)
        height, width = pixels.shape[:2]
        if self.fit == "cover":
            side = min(width, height)
            pixels = crop(pixels, size=side, left=0.5, top=0.5)
            height = width = side
        share = min(1.0, longest / max(width, height))
        if share < 1:
            pixels = resize(pixels, width=max(1, round(width * share)), height=max(1, round(height * share)))
        return to_signed(torch.from_numpy(np.array(pixels[None])))

    def framed(self, mask: np.ndarray) -> Tensor:
        """What `prepared` takes of an image, of a mask of that image, by the nearest pixel: bool [H, W] -> [S, S]."""
        width, height = fitted_size(mask.shape[1], mask.shape[0], side=self.size, fit=self.fit)
        pixels = resize(mask.astype(np.uint8)[:, :, None], width=width, height=height, nearest=True)
        return torch.from_numpy(crop(pixels, size=self.size, left=0.5, top=0.5)[:, :, 0] > 0)

    def to_images(self, images: Tensor) -> list[Image.Image]:
        """Tensors as PIL images of the network's channels and depth; of bands the first three, or the first."""
        if self.format.encoding is not None and images.shape[1] not in (1, 3):
            images = images[:, : 3 if images.shape[1] > 3 else 1]
        return [to_pil(Picture(pixels=row)) for row in self._stored(images)]

    def files(self, images: Tensor, *, like: Sequence[Picture] | None = None) -> list[Picture]:
        """Tensors as what is written to files, with all their channels: 16-bit colour, or values in their units.

        Args:
            images: [N, C, S, S] in [-1, 1], or of any height and width without `like`.
            like: What each was made of; what has no data there has none here.
        """
        if self.format.encoding is None:
            return [Picture(pixels=row) for row in self._stored(images)]
        unit = ((images.detach().float().cpu().clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).numpy()
        inputs = [None] * len(unit) if like is None else [self._without_data(picture) for picture in like]
        return [decoded(row, self.format.encoding, like=one) for row, one in zip(unit, inputs, strict=True)]

    def _without_data(self, picture: Picture) -> Picture | None:
        """An image [S, S, 1] of nothing but the mark of no data, where what `prepared` takes of another has none."""
        gone = missing(picture.pixels, picture.nodata) if picture.bands else None
        if gone is None:
            return None
        found = picture.pixels[gone]
        finite = found[np.isfinite(found)]
        mark = float(finite[0]) if finite.size else float("nan")
        pixels = np.where(self.framed(np.all(gone, axis=2)).numpy(), mark, mark + 1 if finite.size else 0.0)
        return Picture(pixels=pixels[:, :, None], bands=True, nodata=mark if finite.size else None)

    def _stored(self, images: Tensor) -> np.ndarray:
        """[N, C, H, W] in [-1, 1] as [N, H, W, C] of the network's depth."""
        top, kind = (65535, np.uint16) if self.format.bits == 16 else (255, np.uint8)
        values = ((images.detach().float().cpu().clamp(-1, 1) + 1) / 2 * top).round().permute(0, 2, 3, 1).numpy()
        return values.astype(kind)


def makes_images(config: WeightsConfig) -> bool:
    """Whether weights can make new images: those of a GAN, a VAE, or a VQ-VAE with its prior."""
    network = config.network
    if isinstance(network, DenseAutoencoderConfig | ConvAutoencoderConfig):
        return config.kind == "autoencoder" and network.variational
    if isinstance(network, VQVAENetworkConfig):
        return config.kind == "autoencoder" and network.prior is not None
    return config.kind == "generator"


class ImageModel(Framing):
    """An autoencoder, a variational one, or one with a codebook, in fp32.

    Args:
        network: Built from ``config.network``.
        config: What the weights say.
        device: cuda, mps, cpu or auto.

    Attributes:
        network: The ``nn.Module``.
        config: The `WeightsConfig`.
        latent_size: D.

    Raises:
        InferenceError: the weights are of another kind.
        DeviceError: this machine does not have the device.
    """

    def __init__(self, network: nn.Module, config: WeightsConfig, *, device: str = "auto") -> None:
        if not isinstance(network, Autoencoder | VQVAENetwork):
            raise InferenceError(
                f"'{config.name}' holds {a_kind(config.kind)}, which has no latents: this needs the weights of an "
                "autoencoder (translate train ae, vae or vqvae)"
            )
        super().__init__(config)
        self.device = choose_device(device)
        self.network = network.to(self.device).eval()
        self.config = config
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return f"ImageModel('{self.config.name}', {self.config.network.type}, {self.size} px, {self.device})"

    @property
    def latent_size(self) -> int:
        network = self.network
        if isinstance(network, VQVAENetwork):
            return network.config.codec.code_dim * network.config.codec.side**2
        return network.config.latent

    @property
    def can_sample(self) -> bool:
        """Whether it knows how its latents are distributed."""
        return makes_images(self.config)

    # Tensors

    @torch.inference_mode()
    def encoded(self, images: Tensor) -> Tensor:
        """[N, C, S, S] in [-1, 1] -> latents [N, D] on the CPU; the means, or the codebook entries of the codes."""
        found = []
        for part in images.split(AT_ONCE):
            part = part.to(self.device)
            if isinstance(self.network, VQVAENetwork):
                latents = self.network.quantizer.look_up(self.network.codes(part)).flatten(1)
            else:
                latents = self.network.encode(part).mean
            found.append(latents.float().cpu())
        return torch.cat(found)

    @torch.inference_mode()
    def decoded(self, latents: Tensor) -> Tensor:
        """Latents [N, D] -> [N, C, S, S] in [-1, 1] on the CPU; of a codebook, by the nearest entries."""
        found = []
        for part in latents.split(AT_ONCE):
            part = part.to(self.device, torch.float32)
            if isinstance(self.network, VQVAENetwork):
                side = self.network.config.codec.side
                vectors = part.unflatten(1, (-1, side, side))
                found.append(self.network.images(self.network.quantizer.codes(vectors)).cpu())
            else:
                found.append(self.network.to_images(self.network.decode(part)).cpu())
        return torch.cat(found)

    @torch.inference_mode()
    def reconstructed(self, images: Tensor) -> Tensor:
        """[N, C, S, S] in [-1, 1] -> the same through the bottleneck, on the CPU."""
        return torch.cat([self.network(part.to(self.device)).cpu() for part in images.split(AT_ONCE)])

    def sampled(self, count: int, *, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """New images [count, C, S, S] in [-1, 1] on the CPU; as `sample`."""
        return torch.cat(list(self._sampled_parts(count, seed=seed, temperature=temperature)))

    def _sampled_parts(self, count: int, *, seed: int, temperature: float) -> Iterator[Tensor]:
        if not self.can_sample:
            raise InferenceError(
                f"'{self.config.name}' has no prior over its latents, so it cannot generate images: "
                "train a vae, or a vqvae with --prior-layers"
            )
        if count < 1:
            raise InferenceError(f"the number of samples must be at least 1, not {count}")
        if temperature < 0:
            raise InferenceError(
                f"the temperature must be 0 or more, not {temperature:g}: 1 is the trained distribution"
            )
        generator = torch.Generator().manual_seed(seed)  # the CPU's, so that a seed means the same everywhere
        if not isinstance(self.network, VQVAENetwork):
            latents = torch.randn(count, self.latent_size, generator=generator) * temperature
            for part in latents.split(AT_ONCE):
                yield self.decoded(part)
            return
        for start in range(0, count, AT_ONCE):
            number = min(AT_ONCE, count - start)
            with self._turn, torch.inference_mode():
                cpu = self.network.to("cpu")  # as are the draws of the prior
                drawn = cpu.sample(number, temperature=temperature, generator=generator)
                self.network.to(self.device)
            yield drawn

    # For people

    def encode(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Images to latents, float32 [N, D].

        Raises:
            InferenceError: there are no images.
        """
        return self.encoded(self.prepared(images)).numpy()

    def decode(self, latents: np.ndarray) -> list[Image.Image]:
        """Latents [N, D] to images.

        Raises:
            InferenceError: another shape.
        """
        if latents.ndim != 2 or latents.shape[1] != self.latent_size:
            raise InferenceError(f"expected latents [N, {self.latent_size}], not {list(latents.shape)}")
        return self.to_images(self.decoded(torch.from_numpy(np.ascontiguousarray(latents, dtype=np.float32))))

    def reconstruct(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Images as the model makes them again.

        Raises:
            InferenceError: there are no images.
        """
        return self.to_images(self.reconstructed(self.prepared(images)))

    def sample(self, count: int, *, seed: int = 0, temperature: float = 1.0) -> list[Image.Image]:
        """New images; the same seed gives the same ones.

        Args:
            count: How many.
            seed: Of what is drawn.
            temperature: Below 1 for likelier and less varied ones.

        Raises:
            InferenceError: a plain autoencoder, or one without a prior, cannot be sampled from.
        """
        return self.to_images(self.sampled(count, seed=seed, temperature=temperature))

    def interpolate(self, first: Image.Image, last: Image.Image, *, steps: int = 10) -> list[Image.Image]:
        """From one image to another, both their reconstructions included, by spherical interpolation of the latents."""
        a, b = self.encoded(self.prepared([first, last]))
        return self.to_images(self.decoded(slerp(a, b, steps=steps)))

    def samples(self, count: int, *, seed: int = 0, temperature: float = 1.0) -> Iterator[tuple[Picture, str | None]]:
        """As `sample`, one after the other and made in parts, as they are written to files; none has a class."""
        for part in self._sampled_parts(count, seed=seed, temperature=temperature):
            yield from ((picture, None) for picture in self.files(part))

    def walk(
        self, count: int, *, steps: int = 10, seed: int = 0, temperature: float = 1.0, closed: bool = False
    ) -> list[Image.Image]:
        """Images from one drawn image to the next, by spherical interpolation of the latents.

        Args:
            count: Interpolations.
            steps: Images of each.
            seed: Of what is drawn.
            temperature: Of what is drawn.
            closed: Each way starts where the one before ended, and the last ends where the first began; for a video.

        Returns:
            ``count * steps`` images.

        Raises:
            InferenceError: as `sample`.
        """
        number = count if closed else 2 * count
        ends = self.encoded(self.sampled(number, seed=seed, temperature=temperature))
        return self.to_images(self.decoded(slerp_path(ends, steps=steps, closed=closed)))

    def axes(self) -> Tensor:
        """The two directions of a plane of latents, [2, D]: those that change the first layer of the decoder most (as
        Shen and Zhou, 2021, find theirs); of one or two latents, these themselves.

        Raises:
            InferenceError: the latents are entries of a codebook.
        """
        if not isinstance(self.network, Autoencoder):
            raise InferenceError(f"the latents of '{self.config.name}' are discrete: they have no plane of directions")
        if self.latent_size <= 2:
            return torch.eye(self.latent_size)
        first = next(layer for layer in self.network.decoder.modules() if isinstance(layer, nn.Linear))
        return torch.linalg.svd(first.weight.float().cpu(), full_matrices=False).Vh[:2]

    def plane(self, *, steps: int = 20, reach: float = 2.0) -> list[Image.Image]:
        """A plane of two latents, row by row: ``steps * steps`` images at -reach to reach deviations along `axes`.

        Raises:
            InferenceError: the latents are entries of a codebook.
        """
        directions = self.axes()
        line = torch.linspace(-reach, reach, steps)
        places = torch.cartesian_prod(-line, line)[:, [1, 0]]  # x to the right, y upwards
        return self.to_images(self.decoded(places[:, : len(directions)] @ directions))


def slerp_path(ends: Tensor, *, steps: int, closed: bool) -> Tensor:
    """Latents interpolated between pairs of ends, or from each to the next and back to the first: [count * steps, D].

    Args:
        ends: [M, D]; two for an interpolation, or as many as there are interpolations, for closed ones.
        steps: Of each way; a closed one leaves out its end, where the next begins.
        closed: As above.
    """
    if closed:
        pairs = zip(ends, ends.roll(-1, dims=0), strict=True)
        return torch.cat([slerp(first, last, steps=steps + 1)[:-1] for first, last in pairs])
    return torch.cat([slerp(first, last, steps=steps) for first, last in zip(ends[::2], ends[1::2], strict=True)])


def slerp(first: Tensor, last: Tensor, *, steps: int) -> Tensor:
    """Spherical interpolation (Shoemake, 1985) between two vectors [D], lengths in a straight line: [steps, D].

    Straight where they are nearly parallel.
    """
    share = torch.linspace(0, 1, steps)[:, None]
    lengths = first.norm(), last.norm()
    if min(lengths) == 0:
        return first + share * (last - first)
    a, b = first / lengths[0], last / lengths[1]
    angle = torch.arccos((a @ b).clamp(-1, 1))
    if angle.sin() < 1e-4:
        return first + share * (last - first)
    direction = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()
    return direction * (lengths[0] + share * (lengths[1] - lengths[0]))

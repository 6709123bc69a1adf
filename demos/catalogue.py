"""The weights that the demo offers: what each is, in words, and its network, kept while it is in use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from translate.checkpoint.weights import read_config, weights_file, weights_files
from translate.config.networks import StyleGeneratorConfig
from translate.config.weights import WeightsConfig
from translate.inference import GeneratorModel, ImageModel, StyleModel
from translate.inference.image_model import makes_images
from translate.inference.library import load_sampler, load_translator, shipped_weights
from translate.inference.translator import InferenceError, Translator, a_kind

MAX_OPEN = 3  # networks kept in memory
KINDS = {
    "unet": "U-Net",
    "resnet": "ResNet",
    "dense-autoencoder": "autoencoder",
    "conv-autoencoder": "autoencoder",
    "vqvae": "VQ-VAE",
    "dense-generator": "GAN",
    "conv-generator": "GAN",
    "style-generator": "StyleGAN",
}


Model = Translator | ImageModel | GeneratorModel


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One file of weights."""

    name: str
    """Unique in the catalogue."""
    path: Path
    config: WeightsConfig

    @property
    def title(self) -> str:
        """The line in the picker: ``facades: labels → photos, 256 px``, or ``gan-mnist: 10 classes, 28 px``."""
        domains = self.config.domains
        if self.config.kind != "translator":
            classes = f"{len(self.config.classes)} classes, " if self.config.classes else ""
            return f"{self.name}: {classes}{self.config.preprocessing.size} px"
        return f"{self.name}: {domains.source} → {domains.target}, {self.config.preprocessing.size} px"

    @property
    def card(self) -> str:
        """What the weights are and how they were made, in one line."""
        config = self.config
        kind = KINDS.get(config.network.type, config.network.type)
        megabytes = weights_file(self.path).stat().st_size / 1e6
        parts = [f"{kind}, {megabytes:.1f} MB", f"trained at {config.preprocessing.size} px"]
        if record := config.training:
            data = record.data.partition(":")[0].strip()
            seen = f"{record.images_seen:,} images seen"
            parts.append(f"{record.recipe} on {data}, {seen}" if data else f"{record.recipe}, {seen}")
            if record.hours >= 0.05:
                parts.append(f"{record.hours:.1f} hours on {record.device or 'one machine'}")
        return " · ".join(parts)

    @property
    def paints_facades(self) -> bool:
        """Whether it takes label maps, such as the drawings of this demo, and makes photos of them."""
        return self.config.domains.source == "labels" and self.config.network.in_channels == 3


class Catalogue:
    """The weights that ship, and those that were asked for.

    Args:
        extra: Weights folders, run folders or ``.safetensors`` files, listed after those that ship.

    Raises:
        WeightsError: one of them cannot be opened.
        InferenceError: one of `extra` holds neither a translator nor what makes new images.

    Attributes:
        offers: The translators.
        makers: What makes new images.
    """

    def __init__(self, extra: Sequence[Path] = ()) -> None:
        self.offers: dict[str, Offer] = {}
        self.makers: dict[str, Offer] = {}
        for path in shipped_weights().values():
            self._add(path, read_config(path))  # what is of no use here, such as a segmenter, is left out
        for path in (folder for given in extra for folder in _each(given)):
            config = read_config(path)
            if not self._add(path, config):
                raise InferenceError(
                    f"{path} holds {a_kind(config.kind)}: the demo needs the weights of a translator, or of a network "
                    "that makes new images"
                )
        self._open: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.Lock()

    def _add(self, path: Path, config: WeightsConfig) -> bool:
        """List weights where they belong; whether they do anywhere."""
        if config.kind == "translator":
            listed = self.offers
        elif makes_images(config):
            listed = self.makers
        else:
            return False
        name, number = config.name, 2
        while name in self.offers or name in self.makers:
            name, number = f"{config.name} ({number})", number + 1
        listed[name] = Offer(name=name, path=path, config=config)
        return True

    def titles(self, offers: Sequence[Offer] | None = None) -> list[tuple[str, str]]:
        """What a picker lists: titles, and the names they stand for."""
        return [(offer.title, offer.name) for offer in (self.offers.values() if offers is None else offers)]

    def painters(self) -> list[Offer]:
        """The weights that the Draw tab can use, those trained at 256 px first."""
        found = [offer for offer in self.offers.values() if offer.paints_facades]
        return sorted(found, key=lambda offer: abs(offer.config.preprocessing.size - 256))

    def translator(self, name: str) -> Translator:
        """The network of a name; read from its file once, and kept while it is among the last few used.

        Raises:
            KeyError: no weights of that name are listed.
            WeightsError: the file has gone or changed since it was listed.
        """
        found = self._opened(name, lambda: load_translator(self.offers[name].path))
        assert isinstance(found, Translator)
        return found

    def maker(self, name: str) -> ImageModel | GeneratorModel:
        """As `translator`, of what makes new images."""
        found = self._opened(name, lambda: load_sampler(self.makers[name].path))
        assert not isinstance(found, Translator)
        return found

    def stylists(self) -> list[Offer]:
        """The weights that the Styles tab can use."""
        return [offer for offer in self.makers.values() if isinstance(offer.config.network, StyleGeneratorConfig)]

    def stylist(self, name: str) -> StyleModel:
        """As `translator`, of a StyleGAN."""
        found = self.maker(name)
        assert isinstance(found, StyleModel)
        return found

    def _opened(self, name: str, load: Callable[[], Model]) -> Model:
        with self._lock:
            if name not in self._open:
                self._open[name] = load()
                while len(self._open) > MAX_OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name]

    def warm_up(self) -> None:
        """Open the first weights in the background, so that the first picture does not wait for them."""
        first = next(iter(self.offers), None)
        if first is not None:
            threading.Thread(target=self._try_to_open, args=(first,), daemon=True).start()

    def _try_to_open(self, name: str) -> None:
        with suppress(ValueError):  # said where it can be seen: when somebody uses these weights
            self.translator(name)


def _each(path: Path) -> list[Path]:
    """A path to weights, or the folder of each where it is a run that learned both directions."""
    files = weights_files(path)
    return [file.parent for file in files] if len(files) > 1 else [path]

"""The weights that the demo offers: what each is, in words, and its network, kept while it is in use."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from translate.checkpoint.files import WeightsError, read_config, weights_file, weights_files
from translate.config.networks import (
    ConditionalResNetConfig,
    ConvAutoencoderConfig,
    DenseAutoencoderConfig,
    StyleGeneratorConfig,
    VQVAENetworkConfig,
)
from translate.config.weights import WeightsConfig
from translate.inference import GeneratorModel, ImageModel, StyleModel
from translate.inference.errors import InferenceError, a_kind
from translate.inference.finding import shipped_weights
from translate.inference.image_model import makes_images
from translate.inference.library import load_detector, load_image_model, load_sampler, load_translator
from translate.inference.translator import Translator
from translate.networks import AnomalyDetector

MAX_OPEN = 3  # networks kept in memory
KINDS = {
    "unet": "U-Net",
    "conditional-resnet": "ResNet",
    "resnet": "ResNet",
    "dense-autoencoder": "autoencoder",
    "conv-autoencoder": "autoencoder",
    "vqvae": "VQ-VAE",
    "dense-generator": "GAN",
    "conv-generator": "GAN",
    "style-generator": "StyleGAN",
    "anomaly": "anomaly detector (autoencoder)",
    "patch-anomaly": "anomaly detector (patch features)",
}


GONE = (
    "{} is no longer available: uploads are deleted after one to two hours. Choose other weights, or open a file on "
    "the Weights tab"
)
SKETCHES = ("sketch", "sketches", "edges", "drawing", "drawings", "lines")
"""What line drawings are called as a source."""
FLAT = ("flat", "flat icon", "flat icons")
"""What drawings in flat colours are called as a source."""

Model = Translator | ImageModel | GeneratorModel | AnomalyDetector


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One file of weights."""

    name: str
    """Unique in the catalogue."""
    path: Path
    config: WeightsConfig
    private: bool = False
    """Whether they were uploaded on one page, and are listed on no other."""
    local: bool = True
    """Whether only people at this computer see the page: samples of a run hold images that it was trained on."""

    @property
    def file(self) -> Path:
        """The file.

        Raises:
            WeightsError: it has gone.
        """
        if self.private and not self.path.exists():
            raise WeightsError(GONE.format(self.name))
        return weights_file(self.path)

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
        megabytes = self.file.stat().st_size / 1e6
        kind += f" with {len(config.styles)} styles" if config.styles else ""
        kind += " for any style" if isinstance(config.network, ConditionalResNetConfig) and not config.styles else ""
        parts = [f"{kind}, {megabytes:.1f} MB", f"trained at {config.preprocessing.size} px"]
        if record := config.training:
            data = record.data.partition(":")[0].strip()
            seen = f"{record.images_seen:,} images seen"
            parts.append(f"{record.recipe} on {data}, {seen}" if data else f"{record.recipe}, {seen}")
            if record.hours >= 0.05:
                parts.append(f"{record.hours:.1f} hours on {record.device or 'one machine'}")
        return " · ".join(parts)

    @property
    def facts(self) -> dict[str, str]:
        """What the weights are and how they were made, heading to words."""
        config, kind = self.config, KINDS.get(self.config.network.type, self.config.network.type)
        size = config.preprocessing.size
        found = {}
        if config.kind == "translator":
            found["Translates"] = f"{config.domains.source} → {config.domains.target}"
        elif config.kind == "anomaly":
            found["Detects"] = "images that differ from its training images"
        elif makes_images(config):
            found["Generates"] = f"images of {size} × {size} pixels"
        if config.classes:
            found["Classes"] = ", ".join(config.classes)
        found["Network"] = f"{kind}, {self.file.stat().st_size / 1e6:.1f} MB"
        found["Training size"] = f"{size} × {size} pixels"
        if record := config.training:
            hours = f", {record.hours:.1f} hours on {record.device or 'one machine'}" if record.hours >= 0.05 else ""
            found["Training"] = f"{record.recipe}, {record.images_seen:,} images seen{hours}"
            if record.data:
                found["Data"] = record.data
        if config.origin is not None:
            found["Imported from"] = config.origin.file
        if terms := _terms(self.path):
            found["Terms"] = terms
        return found

    @property
    def paints_facades(self) -> bool:
        """Whether it takes label maps, such as the drawings of this demo, and makes photos of them."""
        return self.config.domains.source == "labels" and self.config.network.in_channels == 3


class Catalogue:
    """The weights that ship, and those that were asked for.

    Args:
        extra: Weights folders, run folders or ``.safetensors`` files, listed after those that ship.
        local: Whether only people at this computer see the page.

    Raises:
        WeightsError: one of them cannot be opened.
        InferenceError: one of `extra` holds neither a translator nor an autoencoder nor what makes new images.

    Attributes:
        offers: The translators.
        makers: What makes new images.
        others: Autoencoders that make none.
        detectors: Anomaly detectors.
    """

    def __init__(self, extra: Sequence[Path] = (), *, local: bool = True) -> None:
        self._local = local
        self.offers: dict[str, Offer] = {}
        self.makers: dict[str, Offer] = {}
        self.others: dict[str, Offer] = {}
        self.detectors: dict[str, Offer] = {}
        self._open: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.RLock()
        for path in shipped_weights().values():
            self._add(path, read_config(path))  # what is of no use here, such as a segmenter, is left out
        # The page opens with the first, and for these there are drawings to try.
        self.offers = dict(sorted(self.offers.items(), key=lambda item: not item[1].paints_facades))
        for given in extra:
            self.add(given)

    def add(self, path: Path, *, name: str | None = None, private: bool = False) -> list[Offer]:
        """List more weights, or those of a path anew, whose file may have changed.

        Args:
            path: Weights folders, run folders or ``.safetensors`` files.
            name: What they are called; as they call themselves unless given.
            private: Leave them out of what everybody's pickers show; who knows the name can use them.

        Returns:
            What was listed: two of a run that learned both directions.

        Raises:
            WeightsError: they cannot be opened.
            InferenceError: they hold neither a translator nor an autoencoder nor what makes new images.
        """
        self._forget()
        found = []
        for folder in _each(path):
            config = read_config(folder)
            offer = self._add(folder, config, name=name, private=private)
            if offer is None:
                raise InferenceError(
                    f"{folder} holds {a_kind(config.kind)}: the demo needs the weights of a translator, a generator, "
                    "an autoencoder or an anomaly detector"
                )
            found.append(offer)
        return found

    def _forget(self) -> None:
        """Drop uploads that have been deleted since."""
        with self._lock:
            for listed in self._lists:
                for name in [one.name for one in listed.values() if one.private and not one.path.exists()]:
                    del listed[name]
                    self._open.pop(name, None)

    def _add(
        self, path: Path, config: WeightsConfig, *, name: str | None = None, private: bool = False
    ) -> Offer | None:
        """List weights where they belong; None where that is nowhere."""
        if config.kind == "translator":
            listed = self.offers
        elif makes_images(config):
            listed = self.makers
        elif config.kind == "autoencoder":
            listed = self.others
        elif config.kind == "anomaly":
            listed = self.detectors
        else:
            return None
        with self._lock:
            known = next((offer.name for offer in listed.values() if offer.path == path), None)
            chosen, number = known or name or config.name, 2
            while known is None and chosen in self:
                chosen, number = f"{name or config.name} ({number})", number + 1
            self._open.pop(chosen, None)
            listed[chosen] = Offer(name=chosen, path=path, config=config, private=private, local=self._local)
            return listed[chosen]

    def __contains__(self, name: object) -> bool:
        return any(name in listed for listed in self._lists)

    def __getitem__(self, name: str | None) -> Offer:
        """What is listed under a name.

        Raises:
            WeightsError: nothing is, or not any more.
        """
        for listed in self._lists:
            if name in listed:
                return listed[name]  # type: ignore[index]
        raise WeightsError(GONE.format(name) if name else "No weights selected: select some")

    @property
    def _lists(self) -> tuple[dict[str, Offer], ...]:
        return self.offers, self.makers, self.others, self.detectors

    def all(self) -> list[Offer]:
        """Everything that is listed, translators first."""
        return [offer for listed in self._lists for offer in listed.values()]

    def inverse(self, name: str | None) -> Offer | None:
        """The translator that leads back from where another leads."""
        if name not in self.offers:
            return None
        domains = self.offers[name].config.domains
        back = (domains.target, domains.source)
        ways = ((offer, offer.config.domains) for offer in self.offers.values() if not offer.private)
        return next((offer for offer, way in ways if (way.source, way.target) == back and offer.name != name), None)

    def titles(self, offers: Sequence[Offer] | None = None, *, own: Sequence[str] = ()) -> list[tuple[str, str]]:
        """What a picker lists: titles, and the names they stand for.

        Args:
            offers: The translators unless given.
            own: The names of private weights that are listed all the same.
        """
        listed = list(self.offers.values()) if offers is None else offers
        return [(offer.title, offer.name) for offer in listed if not offer.private or offer.name in own]

    def painters(self) -> list[Offer]:
        """The weights that the Draw tab can use, those trained at 256 px first."""
        found = [offer for offer in self.offers.values() if offer.paints_facades]
        return sorted(found, key=lambda offer: abs(offer.config.preprocessing.size - 256))

    def renderers(self) -> list[Offer]:
        """The weights that render icons of flat colours."""
        found = (offer for offer in self.offers.values() if offer.config.domains.source in FLAT)
        return [offer for offer in found if offer.config.network.in_channels == 3]

    def sketchers(self) -> list[Offer]:
        """The weights that make pictures of line drawings."""
        return [offer for offer in self.offers.values() if offer.config.domains.source in SKETCHES]

    def translator(self, name: str) -> Translator:
        """The network of a name; read from its file once, and kept while it is among the last few used.

        Raises:
            WeightsError: no weights of that name are listed, or the file has gone or changed since.
        """
        found = self._opened(name, lambda: load_translator(self.offers[name].path))
        assert isinstance(found, Translator)
        return found

    def maker(self, name: str) -> ImageModel | GeneratorModel:
        """As `translator`, of what makes new images."""
        found = self._opened(name, lambda: load_sampler(self.makers[name].path))
        assert isinstance(found, ImageModel | GeneratorModel)
        return found

    def encoders(self) -> list[Offer]:
        """The autoencoders whose latents have directions, those first that make new images."""
        kinds = DenseAutoencoderConfig | ConvAutoencoderConfig
        return [offer for offer in self.all() if isinstance(offer.config.network, kinds)]

    def encoder(self, name: str) -> ImageModel:
        """As `translator`, of an autoencoder."""
        found = self._opened(name, lambda: load_image_model(self[name].path))
        assert isinstance(found, ImageModel)
        return found

    def codecs(self) -> list[Offer]:
        """The weights that compress."""
        return [offer for offer in self.all() if isinstance(offer.config.network, VQVAENetworkConfig)]

    def codec(self, name: str) -> ImageModel:
        """As `translator`, of a VQ-VAE."""
        return self.encoder(name)

    def detector(self, name: str) -> tuple[AnomalyDetector, WeightsConfig]:
        """As `translator`, of an anomaly detector, and what its file says of it."""
        found = self._opened(name, lambda: load_detector(self.detectors[name].path)[0])
        assert isinstance(found, AnomalyDetector)
        return found, self.detectors[name].config

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
                _ = self[name].file  # says so if it has gone
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


def _terms(path: Path) -> str:
    """What the card beside the weights says under "Data and terms", as plain words."""
    try:
        text = (path / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    _, _, after = text.partition("\n## Data and terms\n")
    return " ".join(re.sub(r"[*_`]", "", after.partition("\n## ")[0]).split())


def _each(path: Path) -> list[Path]:
    """A path to weights, or the folder of each where it is a run that learned both directions."""
    files = weights_files(path)
    return [file.parent for file in files] if len(files) > 1 else [path]

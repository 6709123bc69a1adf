"""The Styles tab: choose an image that a StyleGAN makes, change it by sliders, mix it with another, or begin with one's
own."""

from __future__ import annotations

import random
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from translate.config.networks import StyleGeneratorConfig
from translate.data.images import from_pil
from translate.demos.answers import as_toasts, for_page, kept_file, read_small, refuse, shown_at_first, unopened
from translate.demos.cancelling import Cancelling
from translate.demos.cards import card_html
from translate.demos.catalogue import Catalogue, Offer
from translate.inference.style_model import PARTS, StyleModel, lerp_path, scaled

CHOICE = 12  # images to choose from
FACTORISED, VARIED, MEASURED = "SeFa (from the weights)", "GANSpace (principal components)", "measured attributes"
"""Where directions come from: SeFa, principal components of styles (GANSpace), or learned from scored images."""
LEARNED_FROM, LEAST = 500, 1e-3  # images, and the deviation of a measure of them that tells something
NUM_SLIDERS, REACH = 5, 3.0  # directions, and how far they go, in deviations of the styles
SIDE, CHOICE_SIDE = 384, 128  # pixels, which the image that is changed, and those to choose from, have at least
STEPS = 150  # of a projection
LARGEST_SEED = 10**6
PULLS = ("Shape", "Features", "Colours")
"""What the layers of `PARTS` decide, in words."""
FILM, FRAME = 24, 80  # images of a film, and milliseconds of each
SHARES = {"nothing": None, "shape (coarse)": "coarse", "features (middle)": "middle", "colours (fine)": "fine"}


def styles_tab(catalogue: Catalogue, tab: gr.Tab) -> gr.Dropdown:
    """Lay out the tab and connect it; call inside ``gr.Blocks``. Returns the picker of weights."""
    offers = catalogue.stylists()
    first = offers[0] if offers else None

    known: WeakKeyDictionary[StyleModel, dict[str, dict[str, Tensor]]] = WeakKeyDictionary()

    def changes(name: str, kind: str) -> dict[str, Tensor]:
        """Directions [D], each as long as a deviation of the styles, by what they are called."""
        model = catalogue.stylist(name)
        found = known.setdefault(model, {})
        if kind not in found:
            found[kind] = directions(model.styled(), kind)
        return found[kind]

    gr.Markdown(
        "Choose an image, then move the sliders: each edits it along one direction of the style space.",
        elem_classes="lead",
    )
    chosen = gr.State(None)  # styles [1, L, D] of the image that is changed
    draw = gr.State(0)
    with gr.Row():
        with gr.Column(min_width=300):
            weights = gr.Dropdown(
                catalogue.titles(offers), value=first.name if first else None, label="Weights",
                elem_id="styles-weights",
            )  # fmt: skip
            card = gr.HTML(card_html(first), elem_id="styles-card")
            gallery = gr.Gallery(
                label="Choose an image", columns=4, rows=3, height="auto", object_fit="contain", allow_preview=False,
                interactive=False, buttons=[], elem_id="styles-choice",
            )  # fmt: skip
            variety = gr.Slider(
                0.0, 1.5, value=0.7, step=0.05, label="Truncation", info="Lower for more typical images.",
                elem_id="styles-variety",
            )  # fmt: skip
            others = gr.Button("Show other images", variant="primary", elem_id="styles-others")
            with gr.Accordion("Start from your own image", open=False):
                own = gr.Image(
                    type="filepath", image_mode=None, format="png", sources=["upload", "clipboard"], label="Your image",
                    height=200, elem_id="styles-own", buttons=[],
                )  # fmt: skip
                unopened(own)
                with gr.Row():
                    bring = gr.Button("Project", min_width=140, elem_id="styles-bring")
                    give_up = gr.Button("Cancel", min_width=140, elem_id="styles-give-up")
                gr.Markdown("Projection finds the nearest image that the network can generate.", elem_classes="small")
        with gr.Column(min_width=300):
            result = gr.Image(
                type="filepath", format="png", label="Image", show_label=False, interactive=False,
                buttons=["fullscreen"], elem_id="styled",
            )  # fmt: skip
            said = gr.Markdown("Choose an image, or show other images.", elem_id="styles-said")
            kind = gr.Radio(
                [FACTORISED, VARIED, MEASURED], value=FACTORISED, label="Slider directions", elem_id="styles-kind"
            )
            sliders = [
                gr.Slider(
                    -REACH, REACH, value=0.0, step=0.1, label=f"Direction {number + 1}", elem_id=f"change-{number}"
                )
                for number in range(NUM_SLIDERS)
            ]
            there = _num_parts(first) if first else len(PULLS)
            part = gr.Radio(
                list(SHARES)[: 1 + there], value="nothing", label="Mix in from the second image", elem_id="styles-part"
            )
            other = gr.Number(1, precision=0, minimum=0, maximum=LARGEST_SEED, label="Seed of the second image",
                              elem_id="styles-other")  # fmt: skip
            fine = gr.Checkbox(
                True, label="Noise", info="Fine detail, such as where strands of hair lie.", elem_id="styles-noise"
            )
            with gr.Accordion("Truncation per layer group", open=False, elem_id="styles-parts"):
                pulls = [
                    gr.Slider(0.0, 1.5, value=1.0, step=0.05, label=label, elem_id=f"styles-pull-{number}",
                              info=info, visible=number < there)
                    for number, (label, info) in enumerate(
                        zip(PULLS, ("0: the mean image; 1: unchanged.", "", ""), strict=True)
                    )
                ]  # fmt: skip
            download = gr.DownloadButton("Download PNG", interactive=False, elem_id="styles-download")
            with gr.Accordion("Interpolation video", open=False, elem_id="styles-film"):
                film = gr.Button("Interpolate to the second image and back", elem_id="styles-make-film")
                moving = gr.Image(
                    type="filepath", format="webp", label="Video", show_label=False, interactive=False,
                    buttons=["download"], elem_id="styles-moving",
                )  # fmt: skip

    def show(name: str, variety: float, seed: int) -> tuple[list[Image.Image], int]:
        """Images to choose from."""
        with as_toasts():
            model = catalogue.stylist(name).styled(truncation=float(variety))
            styles = model.seeded(range(seed, seed + CHOICE))
            return [_smooth(image, CHOICE_SIDE) for image in model.to_images(model.synthesised(styles))], seed

    def choose(name: str, variety: float, seed: int, event: gr.SelectData) -> Tensor:
        with as_toasts():
            styles = catalogue.stylist(name).styled(truncation=float(variety)).seeded(range(seed, seed + CHOICE))
        return styles[event.index : event.index + 1]  # all of them: of a conditional one, each is of another class

    def changed_styles(
        name: str,
        styles: Tensor | None,
        part: str,
        other: float | None,
        variety: float,
        kind: str,
        fine: bool,
        *amounts: float,
    ) -> tuple[StyleModel, Tensor]:
        """The chosen styles under the controls."""
        if styles is None:
            raise refuse("Choose an image first.")
        if SHARES.get(part) is not None and other is None:
            raise refuse("Enter the seed of the second image.")
        if kind not in (FACTORISED, VARIED, MEASURED):
            raise refuse("Choose the slider directions.")
        model = catalogue.stylist(name).styled(truncation=float(variety), noise="fixed" if fine else "none")
        model.check_styles(styles)
        if (layers := SHARES.get(part)) is not None:
            assert other is not None
            styles = model.mixed(styles, model.seeded([int(other)]), layers=PARTS[layers])
        for amount, direction in zip(amounts[:NUM_SLIDERS], changes(name, kind).values(), strict=False):
            styles = model.edited(styles, direction, strength=float(amount))
        truncation = [1.0] * model.num_layers
        for amount, (first, last) in zip(amounts[NUM_SLIDERS:], PARTS.values(), strict=True):
            truncation[first:last] = [float(amount)] * len(truncation[first:last])
        return model, styles if set(truncation) == {1.0} else model.truncated(styles, truncation)

    def change(*controls: Any) -> tuple[str, str]:
        """The chosen image under the controls, twice: to be seen, and to be kept."""
        with as_toasts():
            model, styles = changed_styles(*controls)
            image = _smooth(model.to_images(model.synthesised(styles))[0], SIDE)
            file = kept_file(result, "style.png", lambda target: image.save(target, "PNG"))
        return file, file

    def change_if_chosen(*controls: Any) -> tuple[Any, Any]:
        return (gr.skip(), gr.skip()) if controls[1] is None else change(*controls)

    def make_film(*controls: Any) -> str:
        """From the chosen image under the controls to the other one, and back."""
        other = controls[3]
        if other is None:
            raise refuse("Enter the seed of the second image.")
        with as_toasts():
            model, styles = changed_styles(*controls)
            path = lerp_path(torch.cat([styles, model.seeded([int(other)])]), steps=FILM // 2, closed=True)
            images = model.to_images(model.synthesised(path))
            start, *rest = [_smooth(for_page(from_pil(image)), SIDE) for image in images]
            options: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": FRAME, "loop": 0}
            return kept_file(moving, "styles.webp", lambda target: start.save(target, "WEBP", **options))

    cancelling = Cancelling()

    def project(
        name: str,
        path: str | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Tensor, str]:
        """Styles of an image of one's own."""
        look = cancelling.begun(request)

        def on_step(step: int, _: float) -> None:
            look()
            progress(step / STEPS, "projecting")

        if path is None:
            raise refuse("No image yet: drop or paste one.")
        with as_toasts(path):
            model = catalogue.stylist(name)
            found = model.project(read_small(path), steps=STEPS, on_step=on_step)
        return found.styles, (
            "Nearest image found: its distance to yours is "
            f"{1 - found.distance / max(found.began, 1e-9):.0%} less than that of the mean image."
        )

    def describe(name: str | None) -> tuple[str, None]:
        if name not in catalogue.makers:
            return card_html(None), None
        with as_toasts(catalogue.makers[name].path):
            return card_html(catalogue.makers[name]), None

    def relabel(name: str | None, kind: str) -> list[dict]:
        """Name the sliders after the directions of a kind, and put them back."""
        if name is None or name not in catalogue.makers:
            return [gr.update() for _ in range(NUM_SLIDERS)]
        with as_toasts():
            names = list(changes(name, kind))
        return [
            gr.update(value=0.0, label=names[number] if number < len(names) else "", visible=number < len(names))
            for number in range(NUM_SLIDERS)
        ]

    def fitted(name: str | None) -> list[dict]:
        """Offer the parts that the network has layers for."""
        there = _num_parts(catalogue.makers[name]) if name in catalogue.makers else len(PULLS)
        return [
            gr.update(choices=list(SHARES)[: 1 + there], value="nothing"),
            *(gr.update(value=1.0, visible=number < there) for number in range(len(PULLS))),
        ]

    def fresh() -> tuple[Any, ...]:
        return (*[0.0] * NUM_SLIDERS, *[1.0] * len(PULLS), "nothing")

    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = [weights, chosen, part, other, variety, kind, fine, *sliders, *pulls]
    changed: dict[str, Any] = {**model, **hidden, "trigger_mode": "always_last"}

    def redraw(event: Any) -> None:
        """Show the chosen image after an event, with what changes it put back."""
        event.success(fresh, None, [*sliders, *pulls, part], **hidden).success(
            change, inputs, [result, download], api_visibility="private", **model
        ).success(lambda: gr.update(interactive=True), None, download, **hidden)

    shown = {"outputs": [gallery, draw], "api_visibility": "private", **model}
    others.click(lambda: random.randrange(LARGEST_SEED - CHOICE), None, draw, **hidden).success(
        show, [weights, variety, draw], **shown
    )
    variety.release(show, [weights, variety, draw], **shown)
    shown_at_first(tab, show, [weights, variety, draw], [gallery, draw], **model)
    weights.change(describe, weights, [card, chosen], **hidden).success(
        fitted, weights, [part, *pulls], **hidden
    ).success(relabel, [weights, kind], sliders, **model, **hidden).success(show, [weights, variety, draw], **shown)
    redraw(
        gallery.select(choose, [weights, variety, draw], chosen, **model, **hidden).success(
            lambda: "Now move the sliders.", None, said, **hidden
        )
    )
    looking = bring.click(
        project, [weights, own], [chosen, said], api_visibility="private", show_progress_on=said, **model
    )
    cancelling.connect(give_up, looking, shown=said)
    redraw(looking)
    for control in (*sliders, *pulls):
        control.input(change, inputs, [result, download], **changed)
    kind.input(relabel, [weights, kind], sliders, **model, **hidden).success(
        change_if_chosen, inputs, [result, download], **model, **hidden
    )
    fine.input(change_if_chosen, inputs, [result, download], **changed)
    part.input(change, inputs, [result, download], **changed)
    other.submit(change, inputs, [result, download], **changed)
    film.click(make_film, inputs, moving, api_visibility="private", **model)
    return weights


def directions(model: StyleModel, kind: str) -> dict[str, Tensor]:
    """Directions [D], each as long as a deviation of the styles, by what they are called on a slider."""
    if kind == MEASURED:
        # 500 of 64 px and below, fewer of what takes longer: everybody waits.
        count = max(60, min(LEARNED_FROM, LEARNED_FROM * 64**2 // model.size**2))
        return model.learned(measures, count=count, least=LEAST)
    if kind == VARIED:
        rows = list(model.components(NUM_SLIDERS))
    else:
        styles = model.styles(model.latents(1000, seed=0), model.labels(1000))
        rows = [scaled(row, styles) for row in model.factorised(NUM_SLIDERS)]
    return {f"Direction {number + 1}": row for number, row in enumerate(rows)}


def measures(images: Tensor) -> dict[str, Tensor]:
    """Attributes computed from images [N, C, S, S], [N] each: interpretable sliders are learned from them."""
    images = images[:, : 3 if images.shape[1] >= 3 else 1]  # without alpha
    found = {"Brighter": images.mean(dim=(1, 2, 3)), "More contrast": images.std(dim=(1, 2, 3))}
    if images.shape[1] == 3:
        red, _, blue = images.unbind(1)
        found["Warmer"] = (red - blue).mean(dim=(1, 2))
        found["More colourful"] = images.std(dim=1).mean(dim=(1, 2))
    middle = images.shape[-1] // 4
    inner = images[:, :, middle:-middle, middle:-middle].mean(dim=(1, 2, 3))
    found["Brighter in the middle"] = inner - images.mean(dim=(1, 2, 3))
    return found


def _num_parts(offer: Offer) -> int:
    """How many of `PARTS` a network has layers for."""
    network = offer.config.network
    assert isinstance(network, StyleGeneratorConfig)
    layers = 2 * ((network.grown or network.size).bit_length() - 2)
    return sum(first < layers for first, _ in PARTS.values())


def _smooth(image: Image.Image, least: int) -> Image.Image:
    """An image enlarged without steps to so many pixels, or as it is where it is as large."""
    if image.width >= least:
        return image
    return image.resize((least, least), Image.Resampling.LANCZOS)

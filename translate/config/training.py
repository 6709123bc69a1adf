"""What a user decides about a training run. Each field is a flag of ``translate train``: ``--batch-size 4``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt
from tyro.conf import Positional

from translate.config.base import Config, ConfigError
from translate.config.networks import Downsampling, Initialisation, Norm, Padding, Upsampling

Layout = Literal["auto", "side-by-side", "ab-folders", "split-ab-folders", "trainA-trainB", "two-folders"]
Direction = Literal["a2b", "b2a"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["linear", "cosine", "constant"]
Adversarial = Literal["vanilla", "non-saturating", "saturating", "lsgan", "hinge", "wasserstein"]
Reconstruction = Literal["l1", "l2", "charbonnier", "ssim"]
Noise = Literal["training", "always", "never"]


@dataclass(frozen=True, kw_only=True)
class DataConfig(Config):
    """Which images, and how they are drawn."""

    root: Positional[Path]
    """The data set: a folder of A|B files, of A/ and B/, of train/ val/ test/ ... or domain A of two folders."""
    root_b: Path | None = None
    """Domain B, where A and B are two folders given by hand."""
    layout: Layout = "auto"
    """How the folder is laid out; found by looking unless given."""
    allow_unmatched: bool = False
    """Leave out files without a partner instead of refusing them."""
    direction: Direction = "a2b"
    """Which half is translated into which."""
    names: tuple[str, str] = ("A", "B")
    """What the two domains show, in a word or two each: ``--names photos labels``."""
    size: Annotated[int, Ge(8), Le(4096)] | None = None
    """Side of the square training crop in pixels; the images' own size, at most 256, unless given."""
    enlarge: Annotated[float, Ge(1.0), Le(4.0)] = 286 / 256
    """The shorter side is resized to this times the size before a random crop (286 for 256, as in the paper)."""
    fit: Literal["cover", "stretch"] = "cover"
    """Keep the aspect ratio and crop (cover), or squash to a square (stretch, as published)."""
    flip: bool = True
    """Mirror half of the pairs."""
    colour_jitter: Annotated[float, Ge(0.0), Le(1.0)] = 0.0
    """Strength of brightness, contrast and saturation changes; inputs only."""
    alpha: Literal["composite", "keep"] = "composite"
    """Transparent images: over white, or as a fourth channel."""
    cache_gb: Annotated[float, Ge(0.0)] = 4.0
    """Decoded images are kept on disk beside the run up to this size; 0 decodes them each time."""
    workers: Annotated[int, Ge(1), Le(64)] | None = None
    """Decoding threads; chosen from the machine unless given."""
    max_bad: Annotated[float, Ge(0.0), Le(1.0)] = 0.05
    """Share of unreadable files above which a run stops."""


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
class Pix2PixConfig(Config):
    """Paired translation (Isola et al., 2017): a conditional GAN with an L1 term."""

    data: DataConfig
    run: RunConfig
    generator: Literal["unet", "resnet"] = "unet"
    width: Annotated[int, Ge(1)] = 64
    """Channels of the generator's outermost level."""
    depth: Annotated[int, Ge(1), Le(10)] | None = None
    """U-Net halvings; chosen from the size unless given."""
    num_blocks: Annotated[int, Ge(0)] | None = None
    """Residual blocks of a ResNet; 6 up to 128 px, 9 above unless given."""
    norm: Norm = "instance"
    padding: Padding = "reflect"
    """How the generator's convolutions fill the border; zeros leave lines along it."""
    upsampling: Upsampling = "resize"
    downsampling: Downsampling = "strided"
    noise: Noise = "training"
    """When dropout is on: while training, also when translating (the paper's noise), or never."""
    d_width: Annotated[int, Ge(1)] = 64
    """Channels of the discriminator's first stage."""
    d_layers: Annotated[int, Ge(0), Le(8)] = 3
    """Strided stages of the discriminator: 3 sees 70x70 pixels, 0 single pixels."""
    d_scales: Annotated[int, Ge(1), Le(5)] = 1
    """Discriminators at full, half, quarter ... size (pix2pixHD)."""
    adversarial: Adversarial = "vanilla"
    reconstruction: Reconstruction = "l1"
    reconstruction_weight: Annotated[float, Ge(0.0)] = 100.0
    feature_matching_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight of the distance between discriminator features; pix2pixHD's 10 is 40 here, a mean over layers."""
    r1_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight gamma of the R1 penalty on real pairs, taken every 16 steps."""

    def __post_init__(self) -> None:
        if self.generator == "resnet" and self.depth is not None:
            raise ConfigError("--depth belongs to the U-Net: leave it out, or choose --generator unet")
        if self.generator == "unet" and self.num_blocks is not None:
            raise ConfigError("--num-blocks belongs to the ResNet: leave it out, or choose --generator resnet")
        if self.d_layers == 0 and self.d_scales > 1:
            raise ConfigError("--d-scales needs a discriminator with stages: set --d-layers to 1 or more")


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig(Config):
    """A U-Net that names the class of every pixel of domain A, learned from the label maps of domain B."""

    data: DataConfig
    run: RunConfig
    palette: tuple[tuple[int, int, int], ...] = ()
    """The colours of the classes in the label maps; each pixel is snapped to the nearest."""
    class_names: tuple[str, ...] = ()
    width: Annotated[int, Ge(1)] = 32
    depth: Annotated[int, Ge(1), Le(10)] = 5
    norm: Norm = "group"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5

    def __post_init__(self) -> None:
        if len(self.palette) < 2 or len(self.palette) != len(self.class_names):
            raise ConfigError(
                f"--palette has {len(self.palette)} colours and --class-names {len(self.class_names)} names: "
                "give at least two classes, a colour and a name each"
            )


TrainConfig = Pix2PixConfig | SegmentationConfig

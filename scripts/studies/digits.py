"""What the autoencoders learn of MNIST: six studies, each with several seeds, final weights and a trivial baseline.

rebuilding  The dense autoencoder of the classic text, 784-256-32: the PSNR of its reconstructions of the test images,
            beside 32 principal components.
likelihood  A dense VAE (500-500, 32 latents), its pixels binarised anew at each look; -log p(x) in nats of the 10,000
            test images, binarised once, by 200 importance samples; and how well a linear classifier tells digits from
            its latents, beside 32 principal components.
latents     A convolutional VAE of 32 latents, two epochs: the same classifiers on its latents.
choice      Which autoencoder finds anomalies best, told from normal training images alone: faults are planted in those
            that were held back from the models of the digits 0 to 3.
anomaly     Ten models, each of one digit, the convolutional autoencoder of 64 latents that was chosen; the AUROC of
            telling that digit from the other nine, beside 32 principal components and 5-NN on pixels.
codebook    A VQ-VAE of 256 words: their perplexity on the test images, the PSNR, the bits a code by its prior.

    python -m scripts.studies.digits STUDY MNIST --out DIR [--seeds 0 1 2] [--json FILE]
"""

import argparse
import json
import math
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.applications.anomaly import auroc_rows, baselines, fit, measured, told_from_planted
from translate.applications.embed import probes
from translate.applications.likelihood import negative_log_likelihood
from translate.blocks.quantize import perplexity
from translate.config import AutoencoderConfig, ImageSetConfig, RunConfig, VAEConfig, VQVAEConfig, run_config
from translate.data.image_set import ImageSet
from translate.data.layouts_images import ImagePart
from translate.engine import train
from translate.inference import ImageModel, load_image_model
from translate.metrics import psnr
from translate.networks import AnomalyDetector, Autoencoder, VQVAENetwork
from translate.networks.anomaly import SCORES

Row = dict[str, Any]


def run_of(out: Path, *, seed: int, **options: Any) -> RunConfig:
    settings = {"device": "cpu", "precision": "fp32", "log_every": 20_000, "sample_every": 100_000, "keep": 1}
    return run_config("ae", out=out, seed=seed, **settings | options)


def ae(mnist: Path, out: Path, *, seed: int) -> AutoencoderConfig:
    """784-256-32-256-784."""
    run = run_of(out / f"dense-ae-{seed}", seed=seed, epochs=40.0, batch_size=100)
    return AutoencoderConfig(
        data=ImageSetConfig(root=mnist), body="dense", hidden=(256,), latent=32, loss="bce", run=run
    )


def vae(mnist: Path, out: Path, *, seed: int) -> VAEConfig:
    run = run_of(out / f"vae-{seed}", seed=seed, epochs=100.0, batch_size=100)
    data = ImageSetConfig(root=mnist)
    return VAEConfig(data=data, body="dense", hidden=(500, 500), latent=32, binarise="always", run=run)


def vqvae(mnist: Path, out: Path, *, seed: int) -> VQVAEConfig:
    run = run_of(out / f"vqvae-{seed}", seed=seed, images=200_000, batch_size=64)
    return VQVAEConfig(data=ImageSetConfig(root=mnist), width=32, norm="group", run=run)


def train_first(mnist: Path, out: Path) -> dict[str, Path]:
    """The runs whose weights ship, by their names: the first seed of each; what is there already is gone on with."""
    torch.set_num_threads(1)
    configs = {
        "vae-mnist": vae(mnist, out, seed=0),
        "vqvae-mnist": vqvae(mnist, out, seed=0),
    }
    return {name: train(config) for name, config in configs.items()}


def every(images: ImageSet, split: str) -> Tensor:
    return images.images(split, range(len(images.part(split))))


def rebuilding(given: argparse.Namespace) -> list[Row]:
    images = ImageSet(ImageSetConfig(root=given.mnist))
    learned, test = every(images, "train"), every(images, "test")
    flat, centre = learned.flatten(1), learned.flatten(1).mean(dim=0)
    basis = torch.linalg.eigh(torch.cov(flat.T).double()).eigenvectors[:, -32:].float()  # [784, 32]
    shortened = (centre + (test.flatten(1) - centre) @ basis @ basis.T).view_as(test).clamp(-1, 1)
    rows = []
    for seed in given.seeds:
        model = load_image_model(train(ae(given.mnist, given.out, seed=seed)))
        made = {
            "psnr": model.reconstructed(test),
            "psnr, PCA-32": shortened,
            "psnr, mean image": centre.view_as(test[:1]).expand_as(test),
        }
        scores = {name: float(psnr((some + 1) / 2, (test + 1) / 2).mean()) for name, some in made.items()}
        rows.append({"seed": seed, **scores})
        print(rows[-1], flush=True)
    return rows


def likelihood(given: argparse.Namespace) -> list[Row]:
    data = ImageSetConfig(root=given.mnist)
    once, grey = ImageSet(data, binarise=True), ImageSet(data)
    test = every(once, "test")
    few = ten_thousand(grey)
    rows = []
    for seed in given.seeds:
        model = load_image_model(train(vae(given.mnist, given.out, seed=seed)))
        network = model.network
        assert isinstance(network, Autoencoder)
        nats = negative_log_likelihood(network, test.to(model.device), num_samples=200)
        single = negative_log_likelihood(network, test.to(model.device), num_samples=1)
        rows.append(
            {"seed": seed, "nll": float(nats.mean()), "error": float(nats.std() / len(nats) ** 0.5),
             "negative_elbo": float(single.mean()), **_probed(model, few)}
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def ten_thousand(images: ImageSet) -> dict[str, ImagePart]:
    return {split: images.part(split).chosen(range(10_000)) for split in ("train", "test")}


def latents(given: argparse.Namespace) -> list[Row]:
    data = ImageSetConfig(root=given.mnist)
    few = ten_thousand(ImageSet(data))
    rows = []
    for seed in given.seeds:
        run = run_config(given.out / f"conv-vae-{seed}", seed=seed, images=120_000, batch_size=64)
        model = load_image_model(train(VAEConfig(data=data, latent=32, width=16, run=run)))
        rows.append({"seed": seed, **_probed(model, few)})
        print(rows[-1], flush=True)
    return rows


def _probed(model: ImageModel, parts: dict[str, ImagePart]) -> Row:
    images = {
        name: torch.from_numpy(part.pixels.copy()).permute(0, 3, 1, 2) / 127.5 - 1 for name, part in parts.items()
    }
    latents = tuple(model.encoded(images[name]).numpy() for name in ("train", "test"))
    pixels = tuple(images[name].numpy() for name in ("train", "test"))
    found = probes(latents, pixels, tuple(parts[name].labels for name in ("train", "test")))
    return {f"{measure}, {row.name}": getattr(row, measure) for row in found for measure in ("linear", "neighbours")}


BODIES: dict[str, dict[str, Any]] = {
    "conv-8": {"latent": 8, "width": 16},
    "conv-16": {"latent": 16, "width": 16},
    "conv-32": {"latent": 32, "width": 16},
    "conv-64": {"latent": 64, "width": 16},
    "dense-32": {"body": "dense", "hidden": (256,), "latent": 32},
}
CHOSEN = "conv-64"  # by the study of the choice


def detecting(given: argparse.Namespace, *, digit: int, seed: int, body: str) -> AutoencoderConfig:
    data = ImageSetConfig(root=given.mnist, classes=(str(digit),), hold_out=0.1)
    return AutoencoderConfig(
        data=data,
        run=run_config(given.out / f"ae-{digit}-{seed}-{body}", seed=seed, images=48_000, batch_size=64),
        **BODIES[body],
    )


def fitted(config: AutoencoderConfig) -> tuple[AnomalyDetector, Tensor, Tensor]:
    """A detector, the normal images that it learned from, and those that were held back."""
    model, normal = load_image_model(train(config)), ImageSet(config.data)
    learned, held_back = every(normal, "train"), every(normal, "val")
    return fit(model, learned, held_back), learned, held_back


def choice(given: argparse.Namespace) -> list[Row]:
    rows = []
    for digit in range(4):
        row: Row = {"seed": given.seeds[0], "digit": digit}
        for body in BODIES:
            detector, _, held_back = fitted(detecting(given, digit=digit, seed=given.seeds[0], body=body))
            row[body] = told_from_planted(detector, held_back)
        rows.append(row)
        print(row, flush=True)
    return rows


def anomaly(given: argparse.Namespace) -> list[Row]:
    everything = ImageSet(ImageSetConfig(root=given.mnist))
    test, labels = every(everything, "test"), torch.from_numpy(everything.part("test").labels)
    rows = []
    for seed in given.seeds:
        for digit in given.digits:
            detector, learned, held_back = fitted(detecting(given, digit=digit, seed=seed, body=CHOSEN))
            scores = {name: measured(detector, test)[:, number] for number, name in enumerate(SCORES)}
            if seed == given.seeds[0]:
                scores |= baselines(torch.cat([learned, held_back]), test)
            rows.append(
                {
                    "seed": seed,
                    "digit": digit,
                    "smoothing": detector.config.smoothing,
                    **{row.name: row.auroc for row in auroc_rows(scores, labels != digit)},
                }
            )
            print(rows[-1], flush=True)
    return rows


def codebook(given: argparse.Namespace) -> list[Row]:
    data = ImageSetConfig(root=given.mnist)
    test = every(ImageSet(data), "test")
    rows = []
    for seed in given.seeds:
        config = vqvae(given.mnist, given.out, seed=seed)
        model = load_image_model(train(config))
        network = model.network
        assert isinstance(network, VQVAENetwork)
        assert network.prior is not None
        with torch.inference_mode():
            codes = torch.cat([network.codes(part.to(model.device)) for part in test.split(500)])
            nats = [F.cross_entropy(network.prior(c).flatten(0, 1), c.flatten()) for c in codes[:2000].split(250)]
        made = model.reconstructed(test)
        average = test.mean(dim=0, keepdim=True).expand_as(test)
        near, nearest = (psnr((images + 1) / 2, (test + 1) / 2).mean() for images in (average, made))
        rows.append(
            {
                "seed": seed,
                "words": config.num_codes,
                "perplexity": float(perplexity(codes, num_codes=config.num_codes)),
                "psnr": float(nearest),
                "psnr, mean image": float(near),
                "bits a code": float(torch.stack(nats).mean()) / math.log(2),
            }
        )
        print(rows[-1], flush=True)
    return rows


STUDIES = {
    "rebuilding": rebuilding,
    "likelihood": likelihood,
    "latents": latents,
    "choice": choice,
    "anomaly": anomaly,
    "codebook": codebook,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="of the runs; what is there already is gone on with")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--digits", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = STUDIES[given.study](given)
    measures = [key for key in rows[0] if key not in ("seed", "digit", "words")]
    for measure in measures:
        values = [row[measure] for row in rows if measure in row]
        print(f"{measure:32} mean {mean(values):.4f}   {min(values):.4f} to {max(values):.4f}   of {len(values)}")
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What a codebook makes of faces of 96 px: a VQ-VAE of 256 words, 24x24 codes, several seeds, final weights.

Of the held-out images: the perplexity of their words, the PSNR of their reconstructions beside that of the mean image,
and the size of their compressed files beside JPEG and WebP of as many bytes, heads not counted.

    python -m scripts.studies.faces FACES --out DIR [--seeds 0 1 2] [--json FILE]
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from translate.applications.compress import Comparison, Compressor
from translate.blocks.quantize import perplexity
from translate.config import ImageSetConfig, VQVAEConfig, run_config
from translate.data.image_set import ImageSet
from translate.engine import train
from translate.inference import ImageModel, load_image_model, to_images
from translate.metrics import psnr
from translate.networks import VQVAENetwork


def vqvae(faces: Path, out: Path, *, seed: int) -> VQVAEConfig:
    run = run_config(
        "vqvae",
        out=out / f"vqvae-{seed}",
        seed=seed,
        images=80_000,
        batch_size=8,
        device="cpu",
        precision="fp32",
        keep=1,
    )
    data = ImageSetConfig(root=faces, hold_out=0.05, flip=True)
    return VQVAEConfig(data=data, width=32, num_downsamplings=2, norm="none", prior_layers=2, run=run)


def study(model: ImageModel, held_out: torch.Tensor, average: torch.Tensor) -> dict[str, Any]:
    """Scores of a VQ-VAE on images [N, C, S, S] in [-1, 1], and of the mean image [1, C, S, S] in place of each."""
    network = model.network
    assert isinstance(network, VQVAENetwork)
    words = network.config.quantizer.num_codes
    with torch.inference_mode():
        codes = torch.cat([network.codes(part.to(model.device)).cpu() for part in held_out.split(50)])
    compressor = Compressor(model)
    comparison = Comparison(compressor, rivals=("JPEG", "WEBP"))
    for image in to_images(held_out):
        comparison.add(image, compressor.compress(image))
    return {
        "images": len(held_out),
        "words": words,
        "perplexity": float(perplexity(codes, num_codes=words)),
        "psnr": float(psnr((model.reconstructed(held_out) + 1) / 2, (held_out + 1) / 2).mean()),
        "psnr, mean image": float(psnr((average.expand_as(held_out) + 1) / 2, (held_out + 1) / 2).mean()),
        "rates": [asdict(rate) for rate in comparison.rates()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="of the runs; what is there already is gone on with")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for seed in given.seeds:
        config = vqvae(given.faces, given.out, seed=seed)
        model = load_image_model(train(config))
        images = ImageSet(config.data)
        held_out = images.images("val", range(len(images.part("val"))))
        some = images.images("train", range(0, len(images.part("train")), 5))
        rows.append({"seed": seed, **study(model, held_out, some.mean(dim=0, keepdim=True))})
        print(rows[-1], flush=True)
    for measure in ("perplexity", "psnr", "psnr, mean image"):
        values = [row[measure] for row in rows]
        print(f"{measure:32} mean {mean(values):.4f}   {min(values):.4f} to {max(values):.4f}   of {len(values)}")
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Generators of stylegan2-pytorch: their tensors under their names, what they would make, and what is no such file."""

import argparse

import pytest
import torch
import torch.nn.functional as F

from translate.blocks.style import enlarged, fir_kernel
from translate.checkpoint import peers
from translate.checkpoint.files import WeightsError
from translate.cli.main import main
from translate.inference import load_style_model

SIZE, STYLE, LAYERS = 16, 6, 2
WIDTHS = {4: 8, 8: 7, 16: 5}


def theirs() -> dict[str, torch.Tensor]:
    """A random generator of 16 px as that project saves it."""
    torch.manual_seed(0)
    state = {}
    for layer in range(LAYERS):
        state[f"style.{layer + 1}.weight"] = torch.randn(STYLE, STYLE) / 0.01
        state[f"style.{layer + 1}.bias"] = torch.randn(STYLE)
    state["input.input"] = torch.randn(1, WIDTHS[4], 4, 4)

    def modulated(name: str, inside: int, outside: int, side: int) -> None:
        state[f"{name}.conv.weight"] = torch.randn(1, outside, inside, side, side)
        state[f"{name}.conv.modulation.weight"] = torch.randn(inside, STYLE)
        state[f"{name}.conv.modulation.bias"] = torch.ones(inside)

    def styled(name: str, inside: int, outside: int, *, up: bool = False) -> None:
        modulated(name, inside, outside, 3)
        if up:
            state[f"{name}.conv.blur.kernel"] = 4 * fir_kernel()
        state[f"{name}.noise.weight"] = torch.randn(1)
        state[f"{name}.activate.bias"] = torch.randn(outside)

    styled("conv1", 8, 8)
    for name, inside in (("to_rgb1", 8), ("to_rgbs.0", 7), ("to_rgbs.1", 5)):
        modulated(name, inside, 3, 1)
        state[f"{name}.bias"] = torch.randn(1, 3, 1, 1)
        if name != "to_rgb1":
            state[f"{name}.upsample.kernel"] = 4 * fir_kernel()
    for number, (inside, outside) in enumerate(((8, 7), (7, 7), (7, 5), (5, 5))):
        styled(f"convs.{number}", inside, outside, up=number % 2 == 0)
    for number, side in enumerate((4, 8, 8, 16, 16)):
        state[f"noises.noise_{number}"] = torch.randn(1, 1, side, side)
    return state


def forward(state: dict[str, torch.Tensor], latents: torch.Tensor) -> torch.Tensor:
    """What that generator makes with its stored noise: its published equations, one image after the other."""

    def linear(x, name, rate=1.0):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return F.linear(x, weight * rate / weight.shape[1] ** 0.5, bias * rate)

    def modulated(x, style, name, *, demodulate=True):
        weight = state[f"{name}.conv.weight"][0]
        weight = weight / weight[0].numel() ** 0.5 * linear(style, f"{name}.conv.modulation")[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if f"{name}.conv.blur.kernel" in state:
            up = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            kernel = state[f"{name}.conv.blur.kernel"].expand(up.shape[1], 1, -1, -1)
            return F.conv2d(up, kernel, padding=1, groups=up.shape[1])
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)

    def styled(x, style, name, number):
        x = modulated(x, style, name) + state[f"{name}.noise.weight"] * state[f"noises.noise_{number}"]
        return F.leaky_relu(x + state[f"{name}.activate.bias"][:, None, None], 0.2) * 2**0.5

    made = []
    for latent in latents:
        style = latent * (latent.square().mean() + 1e-8).rsqrt()
        for layer in range(LAYERS):
            style = F.leaky_relu(linear(style, f"style.{layer + 1}", 0.01), 0.2) * 2**0.5
        x = styled(state["input.input"], style, "conv1", 0)
        image = modulated(x, style, "to_rgb1", demodulate=False) + state["to_rgb1.bias"]
        for number in range(2):
            x = styled(x, style, f"convs.{2 * number}", 2 * number + 1)
            x = styled(x, style, f"convs.{2 * number + 1}", 2 * number + 2)
            added = modulated(x, style, f"to_rgbs.{number}", demodulate=False) + state[f"to_rgbs.{number}.bias"]
            image = enlarged(image) + added
        made.append(image)
    return torch.cat(made)


def test_a_checkpoint_of_a_training_opens(tmp_path, capsys):
    state = theirs()
    other = {name: tensor + 1 for name, tensor in state.items() if "kernel" not in name}
    file = tmp_path / "550000.pt"
    saved = {"g": other, "d": {"convs.0.0.weight": torch.zeros(2, 3, 1, 1)}, "g_ema": state, "ada_aug_p": 0.1}
    torch.save({**saved, "args": argparse.Namespace(size=SIZE, latent=STYLE)}, file)
    assert main(["import", str(file), "-o", str(tmp_path / "w")]) == 0
    assert "StyleGAN2 generator, 16 px, 2 mapping layers, styles of 6" in capsys.readouterr().out
    model = load_style_model(tmp_path / "w", device="cpu")
    assert model.config.origin.key == "g_ema"
    assert model.network.config.widths == (8, 7, 5)
    latents = torch.randn(3, STYLE)
    with torch.inference_mode():
        torch.testing.assert_close(model.network(latents), forward(state, latents), atol=1e-5, rtol=1e-5)
        styles = model.network.mapping(torch.randn(10_000, STYLE))
    # The mean style, which the file does not have.
    torch.testing.assert_close(model.network.mapping.average, styles.mean(dim=0), atol=0.1, rtol=0)
    network, _ = peers.import_weights(file, key="g")
    assert torch.equal(network.constant, other["input.input"])


def test_a_converted_file_has_its_mean_style(tmp_path):
    average = torch.randn(STYLE)
    torch.save({"g_ema": theirs(), "latent_avg": average}, tmp_path / "converted.pt")
    network, _ = peers.import_weights(tmp_path / "converted.pt")
    assert torch.equal(network.mapping.average, average)


def test_older_files_have_no_noise(tmp_path):
    state = {name: tensor for name, tensor in theirs().items() if not name.startswith("noises")}
    torch.save(state, tmp_path / "old.pt")
    first, _ = peers.import_weights(tmp_path / "old.pt")
    again, _ = peers.import_weights(tmp_path / "old.pt")
    assert torch.equal(first(torch.ones(1, STYLE)), again(torch.ones(1, STYLE)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"convs.1.noise.weight": None}, "nearly a StyleGAN2 generator of 16 px, but lacks convs.1.noise.weight"),
        ({"convs.1.activate.bias": torch.zeros(3)}, "convs.1.activate.bias is .3. and would have to be of .7."),
        ({"attention.weight": torch.zeros(3)}, "also has attention.weight"),
        ({"convs.0.conv.blur.kernel": torch.ones(4, 4)}, "not the published filter"),
        ({"input.input": torch.full((1, 8, 4, 4), torch.nan)}, "not finite"),
        ({"conv1.conv.weight": torch.zeros(8)}, "would have 5 dimensions"),
        ({"input.input": torch.zeros(1, 4, 4, 8)}, "input.input is .1, 4, 4, 8. and would have to be of .1, 8, 4, 4."),
        ({"to_rgb1.conv.weight": torch.zeros(1, 5, 8, 1, 1)}, "makes images of 5 channels"),
    ],
    ids=["missing", "shape", "more", "filter", "nan", "dimensions", "transposed", "channels"],
)
def test_what_is_another_network_is_refused(tmp_path, change, said):
    state = {name: tensor for name, tensor in {**theirs(), **change}.items() if tensor is not None}
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=said):
        peers.import_weights(tmp_path / "w.pt")
    if "attention.weight" not in change:
        return
    with pytest.raises(WeightsError, match="no network at --key netG"):
        peers.import_weights(tmp_path / "w.pt", key="netG")

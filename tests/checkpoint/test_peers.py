"""Files of other projects: the same outputs from our networks, and a sentence for each file that is refused."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import peer_networks as peers
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from translate.checkpoint import WeightsError, load_weights, read_config, save_weights
from translate.checkpoint.peers import import_weights, in_words, save_checked
from translate.config import ConfigError, Domains, PatchGANConfig, Preprocessing, ResNetConfig, UNetConfig
from translate.inference.running import run_network


@pytest.fixture
def saved(tmp_path):
    def save(content: object, name: str = "latest_net_G.pth", *, old: bool = False) -> Path:
        state = content.state_dict() if isinstance(content, nn.Module) else content
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=not old)
        return tmp_path / name

    torch.manual_seed(0)
    return save


def noise(channels: int, height: int, width: int) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def output(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        found = network(images)
    return found.logits[0] if isinstance(found, tuple) else found


def assert_same(
    imported: nn.Module, original: nn.Module, *, channels: int = 3, sizes=((32, 32), (16, 24)), rounding: float = 1e-12
) -> None:
    """To 1e-5 as they are; and in float64, where nothing hides behind rounding, to much less."""
    for height, width in sizes:
        images = noise(channels, height, width)
        torch.testing.assert_close(output(imported, images), output(original, images), atol=1e-5, rtol=0)
        exact = [output(network.double(), images.double()) for network in (imported, original)]
        torch.testing.assert_close(*exact, atol=rounding, rtol=0)
        imported.float(), original.float()


# The same outputs


@pytest.mark.parametrize("norm", peers.NORMS)
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize(("halve", "double"), [(False, False), (True, True), (True, False), (False, True)])
def test_resnet_generators(saved, norm, dropout, halve, double):
    original = peers.trained(peers.resnet(norm=norm, dropout=dropout, halve=halve, double=double))
    imported, config = import_weights(saved(original))
    assert config.network == ResNetConfig(
        width=4,
        num_blocks=2,
        norm=norm,
        dropout=0.5 if dropout else 0.0,
        downsampling="blur-after" if halve else "strided",
        upsampling="resize" if double else "transposed",
    )
    assert_same(imported, original)


@pytest.mark.parametrize(
    ("num_blocks", "width", "channels"),
    [(0, 5, (3, 3)), (1, 1, (3, 3)), (6, 3, (1, 4)), (9, 5, (6, 1)), (11, 2, (2, 2))],
)
@pytest.mark.parametrize("cut", [False, True])
def test_resnets_of_any_size(saved, num_blocks, width, channels, cut):
    made = peers.resnet(num_blocks=num_blocks, width=width, channels=channels, halve=cut, double=cut)
    original = peers.trained(made, channels=channels[0])
    imported, config = import_weights(saved(original))
    found = config.network
    assert (found.num_blocks, found.width, found.in_channels, found.out_channels) == (num_blocks, width, *channels)
    assert_same(imported, original, channels=channels[0])


@pytest.mark.parametrize("levels", [0, 1, 3, 4])
@pytest.mark.parametrize("cut", [False, True])
def test_resnets_of_other_depths(saved, levels, cut):
    original = peers.trained(peers.resnet(levels=levels, width=2, num_blocks=1, halve=cut, double=cut))
    imported, config = import_weights(saved(original))
    assert config.network.num_downsamplings == levels
    assert_same(imported, original, sizes=[(32, 48)])


@pytest.mark.parametrize("norm", peers.NORMS)
@pytest.mark.parametrize("kept", [True, False])
def test_the_filters_of_cut_may_lie_in_the_file_or_not(saved, norm, kept):
    original = peers.trained(peers.resnet(norm=norm, halve=True, double=True, kept=kept))
    assert any(key.endswith(".filt") for key in original.state_dict()) == kept
    assert_same(import_weights(saved(original))[0], original)


@pytest.mark.parametrize("norm", peers.NORMS)
@pytest.mark.parametrize(
    ("depth", "width", "channels"), [(5, 4, (3, 3)), (6, 1, (1, 4)), (7, 2, (6, 1)), (8, 2, (3, 3))]
)
def test_unet_generators(saved, norm, depth, width, channels):
    made = peers.unet(norm=norm, depth=depth, width=width, channels=channels, dropout=True)
    original = peers.trained(made, channels=channels[0], side=2**depth)
    imported, config = import_weights(saved(original))
    assert config.network == UNetConfig(
        in_channels=channels[0],
        out_channels=channels[1],
        width=width,
        depth=depth,
        norm=norm,
        upsampling="transposed",
        dropout=0.5 if depth > 5 else 0.0,
    )
    assert config.preprocessing.size == 2**depth
    assert_same(imported, original, channels=channels[0], sizes=[(2**depth, 2**depth)])


@pytest.mark.parametrize("norm", peers.NORMS)
@pytest.mark.parametrize("num_layers", [1, 2, 3, 5])
@pytest.mark.parametrize(("halve", "kept"), [(False, True), (True, True), (True, False)])
def test_patchgan_discriminators(saved, norm, num_layers, halve, kept):
    made = peers.patchgan(norm=norm, num_layers=num_layers, width=2, channels=6, halve=halve, kept=kept)
    original = peers.trained(made, channels=6, side=128)
    imported, config = import_weights(saved(original))
    down = "blur-after" if halve else "strided"
    assert config.network == PatchGANConfig(in_channels=6, width=2, num_layers=num_layers, norm=norm, downsampling=down)
    assert config.kind == "discriminator"
    assert_same(imported, original, channels=6, sizes=[(128, 128), (97, 118)])


@pytest.mark.parametrize("norm", peers.NORMS)
def test_pixel_discriminators(saved, norm):
    original = peers.trained(peers.pixel(norm=norm))
    imported, config = import_weights(saved(original))
    assert config.network == PatchGANConfig(in_channels=3, width=4, num_layers=0, norm=norm)
    assert_same(imported, original, sizes=[(8, 8), (3, 5)])


# What their test.py does without --eval


def train_norms(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    return network


@pytest.mark.parametrize(
    "made", [peers.resnet, peers.unet, peers.patchgan, peers.pixel], ids=lambda made: made.__name__
)
def test_batch_norm_by_the_statistics_of_each_image(saved, made):
    original = peers.trained(made(norm="batch"), side=64)
    imported, config = import_weights(saved(original), statistics="image", noise="never")
    assert config.network.norm == "instance-affine"
    assert_same(imported, train_norms(original), sizes=[(64, 64)])
    assert_same(imported.train(), original, sizes=[(64, 64)])  # the same computation in both modes


@pytest.mark.parametrize(
    "made",
    [peers.resnet(norm="batch", dropout=True), peers.unet(depth=6, norm="batch", dropout=True)],
    ids=["resnet", "unet"],
)
def test_dropout_that_stays_on_draws_the_same(saved, made):
    original = peers.trained(made, side=64)
    imported, config = import_weights(saved(original), statistics="image", noise="always")
    assert config.noise == "always"
    images = noise(3, 64, 64)
    found = run_network(imported, images, noise="always", seed=5)
    torch.manual_seed(5)
    expected = output(original.train(), images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(found, output(original.eval(), images), atol=1e-3)


# Other ways of writing the same


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "netG.", "a.b."])
@pytest.mark.parametrize(
    "made", [peers.resnet, peers.unet, peers.patchgan, peers.pixel], ids=lambda made: made.__name__
)
def test_prefixes_are_taken_off(saved, prefix, made):
    original = peers.trained(made(), side=64)
    state = {prefix + key: tensor for key, tensor in original.state_dict().items()}
    assert_same(import_weights(saved(state))[0], original, sizes=[(64, 64)])


def test_old_files_have_statistics_under_instance_norm(saved):
    old = peers.trained(peers.resnet(norm="old instance", halve=True))
    state = {key: value for key, value in old.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert any(key.endswith("running_mean") for key in state)
    new = peers.resnet(halve=True).eval()
    new.load_state_dict({key: value for key, value in state.items() if "running" not in key})
    for content in (old.state_dict(), state):
        imported, config = import_weights(saved(content, old=True))
        assert config.network.norm == "instance"
        assert_same(imported, new)


def test_batch_norm_of_files_without_counts(saved):
    original = peers.trained(peers.resnet(norm="batch"))
    state = {key: value for key, value in original.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert_same(import_weights(saved(state))[0], original)


def test_biases_in_front_of_batch_norm_move_its_means(saved):
    original = peers.trained(peers.resnet(norm="batch"))
    with_biases = peers.resnet(norm="instance")
    for block, biased in zip(original.modules(), with_biases.modules(), strict=True):
        if isinstance(block, nn.Conv2d | nn.ConvTranspose2d) and block.bias is None:
            block.bias = biased.bias
    imported, config = import_weights(saved(original))
    assert config.network.norm == "batch"
    assert_same(imported, original, rounding=1e-8)  # of the means in fp32
    assert_same(import_weights(saved(original), statistics="image")[0], train_norms(original))


def test_instance_norm_with_a_scale_and_a_shift(saved):
    original = peers.resnet()
    for module in original.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.InstanceNorm2d):
                scaled = nn.InstanceNorm2d(child.num_features, affine=True)
                scaled.weight.data.uniform_(0.5, 1.5)
                scaled.bias.data.uniform_(-0.5, 0.5)
                setattr(module, name, scaled)
    imported, config = import_weights(saved(original))
    assert config.network.norm == "instance-affine"
    assert_same(imported, original)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_fp32(saved, dtype):
    original = peers.trained(peers.resnet(norm="batch", halve=True, double=True)).to(dtype)
    imported, _ = import_weights(saved(original))
    assert {parameter.dtype for parameter in imported.parameters()} == {torch.float32}
    assert_same(imported, original.float())


def test_safetensors_with_the_published_keys(tmp_path):
    original = peers.trained(peers.unet(depth=5), side=64)
    save_file(original.state_dict(), tmp_path / "foreign.safetensors")
    assert_same(import_weights(tmp_path / "foreign.safetensors")[0], original, sizes=[(64, 64)])


@pytest.mark.parametrize("key", ["state_dict", "model", "g_ema"])
def test_the_one_network_of_a_training_checkpoint(saved, key):
    original = peers.trained(peers.resnet())
    adam = torch.optim.Adam(original.parameters())
    original(noise(3, 16, 16)).sum().backward()
    adam.step()
    imported, config = import_weights(
        saved({"epoch": 3, key: original.state_dict(), "optimizer": adam.state_dict(), "mean": torch.zeros(3)})
    )
    assert config.origin.key == key
    assert_same(imported, original)


def test_several_networks_are_told_apart_by_a_key(saved):
    networks = {"G_A": peers.resnet(), "G_B": peers.resnet(num_blocks=3), "D": peers.patchgan()}
    file = saved({name: network.state_dict() for name, network in networks.items()})
    with pytest.raises(WeightsError, match=r"holds several networks: choose one with --key from G_A, G_B, D$"):
        import_weights(file)
    with pytest.raises(WeightsError, match=r"has no network at --key G: choose from G_A, G_B, D$"):
        import_weights(file, key="G")
    for name, network in networks.items():
        imported, config = import_weights(file, key=name)
        assert config.origin.key == name
        assert_same(imported, network.eval(), sizes=[(32, 32)])
    flat = {f"net{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
    assert_same(import_weights(saved(flat), key="netG_B")[0], networks["G_B"])
    with pytest.raises(WeightsError, match=r"no network at --key G: omit it, the file is one network"):
        import_weights(saved(networks["D"]), key="G")


# What is kept


def test_what_the_file_does_not_say_is_recorded(saved, tmp_path):
    file = saved(peers.resnet(dropout=True), "horse2zebra.pth")
    imported, config = import_weights(
        file, name="zebras", domains=Domains(source="horse", target="zebra"), value_range=(0.0, 1.0), size=128
    )
    weights = save_checked(imported, config, tmp_path / "zebras")
    network, said = load_weights(tmp_path / "zebras")
    assert said == config == read_config(weights)
    assert (said.name, said.kind, said.noise) == ("zebras", "translator", "training")
    assert (said.preprocessing.value_range, said.preprocessing.size) == ((0.0, 1.0), 128)
    assert (said.domains.source, said.domains.target) == ("horse", "zebra")
    assert (said.origin.file, len(said.origin.sha256), said.training) == ("horse2zebra.pth", 64, None)
    assert torch.equal(output(network, noise(3, 16, 16)), output(imported, noise(3, 16, 16)))
    assert not imported.training
    assert not any(parameter.requires_grad for parameter in imported.parameters())


def test_defaults(saved):
    _, config = import_weights(saved(peers.resnet()))
    assert config.name == "latest_net_G"
    assert config.domains == Domains()
    assert config.preprocessing == Preprocessing(size=256, value_range=(-1.0, 1.0), bits=8, alpha="composite")
    assert config.noise == "never"  # there is no dropout


def test_dropout_is_left_out_on_request(saved):
    for made in (peers.resnet(dropout=True), peers.unet(depth=6)):
        _, config = import_weights(saved(made), noise="never")
        assert config.network.dropout == 0
        assert config.noise == "never"


def test_options_that_do_not_fit_are_refused(saved):
    with pytest.raises(ConfigError, match=r"--noise always: .*latest_net_G\.pth holds a network without dropout"):
        import_weights(saved(peers.resnet()), noise="always")
    with pytest.raises(ConfigError, match="value_range"):
        import_weights(saved(peers.resnet()), value_range=(1.0, 0.0))
    with pytest.raises(ConfigError, match="size = 0"):
        import_weights(saved(peers.resnet()), size=0)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (peers.resnet(num_blocks=9, width=4), "ResNet generator, 9 blocks, 4 wide, instance norm, RGB to RGB"),
        (
            peers.resnet(norm="none", halve=True, double=True, channels=(1, 2)),
            "ResNet generator, 2 blocks, 4 wide, no norm, anti-aliased, grey to 2 channels",
        ),
        (peers.resnet(dropout=True), "ResNet generator, 2 blocks, 4 wide, instance norm, dropout, RGB to RGB"),
        (peers.unet(depth=5, channels=(4, 1)), "U-Net generator, 5 levels, 2 wide, batch norm, RGBA to grey"),
        (peers.patchgan(channels=6), "PatchGAN discriminator, 3 layers, 4 wide, instance norm, of 6 channels"),
        (peers.pixel(), "pixel discriminator, 4 wide, instance norm, of RGB"),
    ],
)
def test_what_was_found_in_words(saved, network, words):
    assert in_words(import_weights(saved(network))[1]) == words


def test_values_that_are_not_finite_are_not_written(saved, tmp_path):
    original = peers.resnet()
    original.model[1].weight.data[0] = float("nan")
    with pytest.raises(WeightsError, match=r"stem\.conv\.weight has values that are not finite"):
        save_checked(*import_weights(saved(original)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Files that are refused


class Payload:
    """Makes a folder when it is opened by a careless reader."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("old", [False, True])
def test_code_is_not_run(saved, tmp_path, old):
    state = peers.resnet().state_dict() | {"model.99.weight": Payload(tmp_path / "ran")}
    expected = (
        r"holds more than tensors, and opening it would run code \((posix|nt)\.mkdir\): in the project that wrote"
    )
    with pytest.raises(WeightsError, match=expected):
        import_weights(saved(state, old=old))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("old", [False, True])
def test_a_whole_module_is_refused(tmp_path, old):
    file = tmp_path / "whole.pth"
    torch.save(peers.resnet(), file, _use_new_zipfile_serialization=not old)
    with pytest.raises(
        WeightsError, match=r"is a whole pickled module.*\(peer_networks\.Network\).*state_dict\(\) alone"
    ):
        import_weights(file)
    torch.save({"netG": nn.Conv2d(1, 1, 1)}, file, _use_new_zipfile_serialization=not old)
    with pytest.raises(WeightsError, match=r"is a whole pickled module.*torch\.nn\.modules\.conv\.Conv2d"):
        import_weights(file)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_a_torchscript_program_is_refused(tmp_path):
    scripted = torch.jit.script(nn.Conv2d(1, 1, 1))
    scripted.save(str(tmp_path / "script.pth"))
    with pytest.raises(WeightsError, match=r"is a TorchScript program, which is code"):
        import_weights(tmp_path / "script.pth")


def test_an_optimizer_is_refused(saved):
    network = peers.resnet(num_blocks=1)
    adam = torch.optim.Adam(network.parameters())
    network(noise(3, 16, 16)).sum().backward()
    adam.step()
    for content in (adam.state_dict(), {"epoch": 1, "optimizer": adam.state_dict()}):
        with pytest.raises(
            WeightsError, match=r"holds an optimizer's state and no network: give the file of the network"
        ):
            import_weights(saved(content))


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("old", [False, True])
def test_half_a_file_is_refused(saved, share, old):
    file = saved(peers.resnet(), old=old)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError, match=r"latest_net_G\.pth is truncated.*[Cc]opy or download it again$"):
        import_weights(file)


def test_values_that_are_not_in_the_file_are_refused(saved):
    state = peers.resnet().state_dict()
    state["model.1.weight"] = torch.zeros(1).expand(2**40, 3, 7, 7)
    with pytest.raises(WeightsError, match=r"declares more values than it holds"):
        import_weights(saved(state))


def test_safetensors_under_another_name_are_refused(tmp_path):
    file = tmp_path / "latest_net_G.pth"
    save_file(peers.resnet().state_dict(), file)
    with pytest.raises(WeightsError, match=r"is a safetensors file despite its name: rename it to latest_net_G\.saf"):
        import_weights(file)


def test_half_of_safetensors_is_refused_and_a_pickle_of_that_name_opened(saved):
    file = saved(peers.resnet(), "model.safetensors")
    assert import_weights(file)[1].network.width == 4
    save_file(peers.resnet().state_dict(), file)
    file.write_bytes(file.read_bytes()[:999])
    with pytest.raises(WeightsError, match=r"is not a complete safetensors file: copy or download it again"):
        import_weights(file)


def test_our_own_weights_need_no_import(tiny_weights):
    with pytest.raises(WeightsError, match=r"was written by translate and opens as it is: translate apply"):
        import_weights(tiny_weights / "model.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty: copy or download it again"),
        (
            b"<!DOCTYPE html>\n<html>",
            r"x\.pth is text \(it starts with '<!DOCTYPE html>'\): copy or download it again",
        ),
        (b"\x00\x01\x02" * 99, r"not a file that torch\.save wrote, but something else"),
        (b"\x80\x02garbage", r"is truncated, or not a file that torch\.save wrote"),
        (pickle.dumps({"a": 1}), r"is a pickle that torch\.save did not write \(protocol \d\), with plain values"),
        (b"PK\x05\x06" + bytes(18), r"is a zip archive without files"),
    ],
    ids=["empty", "page", "bytes", "pickle head", "plain pickle", "archive"],
)
def test_files_that_are_no_weights_are_refused(tmp_path, content, message):
    file = tmp_path / "x.pth"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        import_weights(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], r"holds one list, and no network's state dict"),
        (torch.zeros(2), r"holds one Tensor, and no network's state dict"),
        ({"epoch": 3, "loss": 0.1}, r"holds a dict of epoch, loss, and no network's state dict"),
        ({}, r"holds a dict of nothing, and no network"),
        (OrderedDict(), r"holds a dict of nothing, and no network"),
    ],
    ids=["list", "tensor", "numbers", "empty", "empty ordered"],
)
def test_contents_without_a_network_are_refused(saved, content, message):
    with pytest.raises(WeightsError, match=message):
        import_weights(saved(content))


def test_a_dict_that_holds_itself_ends(saved):
    content: dict = {"epoch": 1}
    content["again"] = content
    with pytest.raises(WeightsError, match=r"no network's state dict"):
        import_weights(saved(content))


def test_places_without_a_file_are_named(tmp_path, saved):
    with pytest.raises(WeightsError, match=r"nowhere\.pth does not exist"):
        import_weights(tmp_path / "nowhere.pth")
    with pytest.raises(WeightsError, match=r"is a folder: give a file, such as latest_net_G\.pth"):
        import_weights(tmp_path)
    saved(peers.resnet())
    with pytest.raises(WeightsError, match=r"is a folder: give one of its files \(latest_net_G\.pth\)"):
        import_weights(tmp_path)


def without(network: nn.Module, *keys: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in network.state_dict().items() if key not in keys}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            without(peers.resnet(num_blocks=6), "model.23.bias"),
            r"closest is a ResNet generator with 6 blocks, but 1 of its 36 tensors is missing \(model\.23\.bias\)$",
        ),
        (
            without(peers.resnet(num_blocks=3), "model.4.weight", "model.11.conv_block.1.weight"),
            r"ResNet generator with 3 blocks, but 2 of its .*\(model\.4\.weight, model\.11\.conv_block\.1\.weight\)$",
        ),
        (
            without(peers.unet(depth=6), "model.model.0.weight"),
            r"closest is a U-Net generator of depth 6, but 1 of its \d+ .* missing \(model\.model\.0\.weight\)$",
        ),
        (
            peers.patchgan().state_dict() | {"model.12.weight": torch.zeros(3), "extra": torch.zeros(1)},
            r"closest is a PatchGAN discriminator of 3 layers, but 2 in the file are not part of it \(extra, model\.12",
        ),
        (without(peers.pixel(), "net.0.bias"), r"closest is a pixel discriminator, but 1 of its 6 .*\(net\.0\.bias\)"),
        (
            {"conv1.weight": torch.zeros(8, 3, 7, 7), "fc.weight": torch.zeros(9, 8)},
            r"none of its 2 tensors \(conv1.*by its kernels the closest is a ResNet generator, which lacks .* model\.1",
        ),
        ({"net.first.weight": torch.zeros(8, 3, 1, 1)}, r"closest is a pixel discriminator"),
        ({"scale0.weight": torch.zeros(8, 3, 4, 4)}, r"closest is a (U-Net generator|PatchGAN discriminator)"),
        ({"mlp_0.0.weight": torch.zeros(256, 3), "mlp_0.0.bias": torch.zeros(256)}, r"CUT's feature heads.*netG"),
    ],
    ids=["bias", "convolutions", "unet", "more", "pixel", "unknown", "unknown 1x1", "unknown 4x4", "feature heads"],
)
def test_keys_of_no_known_architecture_say_the_nearest(saved, state, message):
    with pytest.raises(WeightsError, match=message) as caught:
        import_weights(saved(state))
    assert "latest_net_G.pth contains no network of a known architecture: " in str(caught.value)


def test_shapes_that_do_not_fit_are_named(saved):
    state = peers.resnet(num_blocks=3).state_dict()
    state["model.4.weight"] = torch.zeros(9, 4, 3, 3)
    expected = r"is nearly a ResNet generator with 3 blocks, but model\.4\.weight is \[9, 4, 3, 3\].*be \[8, 4, 3, 3\]"
    with pytest.raises(WeightsError, match=expected):
        import_weights(saved(state))


def test_other_filters_are_refused(saved):
    original = peers.resnet(halve=True)
    original.model[7].filt.fill_(1 / 9)
    with pytest.raises(WeightsError, match=r"model\.7\.filt is not the published filter \[1\.0, 2\.0, 1\.0\]"):
        import_weights(saved(original))


def test_integers_are_refused(saved):
    state = peers.resnet().state_dict()
    state["model.1.weight"] = state["model.1.weight"].to(torch.int8)
    with pytest.raises(WeightsError, match=r"model\.1\.weight is torch\.int8 .*only plain floating-point values"):
        import_weights(saved(state))


def test_networks_deeper_than_ours_are_refused(saved):
    with pytest.raises(ConfigError, match=r"depth = 11: must be at most 10"):
        import_weights(saved(peers.unet(depth=11, width=1)))


# Where other commands meet such files


def test_other_commands_name_the_import(saved, tmp_path):
    file = saved(peers.resnet())
    with pytest.raises(WeightsError, match=r"translate import .*latest_net_G\.pth -o weights/latest_net_G$"):
        load_weights(file)
    with pytest.raises(WeightsError, match=r"has no model\.safetensors.*translate import .*latest_net_G\.pth -o"):
        load_weights(tmp_path)
    foreign = tmp_path / "foreign.safetensors"
    save_file(peers.resnet().state_dict(), foreign)
    with pytest.raises(WeightsError, match=r"not written by translate.*translate import .*foreign\.safetensors -o"):
        load_weights(foreign)


def test_a_network_that_reads_back_different_is_not_kept(saved, tmp_path, monkeypatch):
    from translate.checkpoint.peers import importing

    def spoilt(network, config, path):
        with torch.no_grad():
            network.head.conv.bias += 1
        return save_weights(network, config, path)

    imported, config = import_weights(saved(peers.resnet()))
    monkeypatch.setattr(
        importing, "save_weights", lambda *given: spoilt(import_weights(saved(peers.resnet()))[0], *given[1:])
    )
    with pytest.raises(WeightsError, match=r"did not read back as it was written: nothing was kept"):
        save_checked(imported, config, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())

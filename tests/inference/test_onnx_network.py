"""An exported network is a translator like any other: the same pictures, no flags."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from translate.checkpoint import WeightsError, save_weights
from translate.checkpoint.files import METADATA_KEY
from translate.cli import main
from translate.config import Preprocessing, ResNetConfig, UNetConfig, WeightsConfig, to_dict
from translate.export import export_onnx
from translate.inference import DeviceError, InferenceError, Translator, load
from translate.inference import onnx_file as onnx_module
from translate.inference.describe import describe
from translate.inference.onnx import OnnxNetwork
from translate.inference.onnx_file import NOISE_KEY, SIDES_KEY
from translate.networks import build_network, initialise

for library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(library)

SIZES = [(1, 1), (1, 7), (40, 3), (16, 16), (33, 70)]  # width, height


def exported(folder, network, *, shifts=0.0, **changes):
    """The weights, their norms' shifts drawn with a deviation, and what they are exported to."""
    torch.manual_seed(0)
    config = WeightsConfig(kind="translator", name="tiny", network=network, **changes)
    built = initialise(build_network(network), gain=0.1)
    for module in built.modules():
        if isinstance(module, torch.nn.GroupNorm | torch.nn.InstanceNorm2d) and module.affine:
            torch.nn.init.normal_(module.bias, 0.0, shifts)
    source = save_weights(built, config, folder)
    return source, export_onnx(source, folder / "model.onnx").file


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    """Zeros around the image, since instance norm makes little certain of a flat one, in PyTorch too."""
    network = UNetConfig(width=4, depth=2, upsampling="transposed")
    return exported(tmp_path_factory.mktemp("colour"), network, preprocessing=Preprocessing(size=16))


@pytest.fixture(scope="module")
def deep_grey(tmp_path_factory):
    network = UNetConfig(width=2, depth=1, in_channels=1, out_channels=1, upsampling="transposed")
    return exported(tmp_path_factory.mktemp("grey"), network, preprocessing=Preprocessing(size=16, bits=16))


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Noise whose channels are last in memory."""
    network = ResNetConfig(width=2, num_blocks=2, num_downsamplings=1, dropout=0.5, norm="none")
    return exported(tmp_path_factory.mktemp("noisy"), network, noise="always", preprocessing=Preprocessing(size=16))


@pytest.fixture(scope="module")
def model(colour):
    return load(colour[1])


def both(files):
    source, file = files
    return load(source, device="cpu", precision="fp32"), load(file)


def noise(height, width, channels=3, *, bits=8):
    values = np.random.default_rng(0).integers(0, 2**bits, (height, width, channels))
    return values.astype(np.uint16 if bits == 16 else np.uint8)


def difference(one, other):
    assert (one.mode, one.size) == (other.mode, other.size)
    return np.abs(np.asarray(one).astype(int) - np.asarray(other)).max()


# The same pictures


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_are_those_of_safetensors_to_one_grey_level(colour, size, channels):
    image = Image.fromarray(noise(size[1], size[0], channels))
    expected, found = (translator(image) for translator in both(colour))
    assert found.size == size
    assert difference(expected, found) <= 1
    if channels == 4:
        assert np.array_equal(np.asarray(found)[..., 3], np.asarray(image)[..., 3])


def test_an_image_of_one_colour_is_not_made_noise(tmp_path):
    _, file = exported(tmp_path, ResNetConfig(width=4, num_blocks=2, num_downsamplings=1))
    translator = load(file)
    for size, level in [((35, 28), 90), ((64, 64), 255), ((1, 1), 3)]:
        assert translator(Image.new("RGB", size, (level, 128, 7))).getcolors(1) is not None


@pytest.mark.parametrize(
    "network",
    [
        ResNetConfig(width=8, num_blocks=2, num_downsamplings=1, norm="group"),  # a group for each channel
        ResNetConfig(width=8, num_blocks=2, num_downsamplings=1, norm="instance-affine"),
        ResNetConfig(width=8, num_blocks=2, num_downsamplings=1),
        UNetConfig(width=8, depth=2, norm="group", padding="reflect"),
    ],
    ids=lambda network: f"{network.type}-{network.norm}",
)
def test_one_colour_is_what_pytorch_makes_of_it(tmp_path, network):
    """Where a flat channel is no exact 0, both make noise of it, each another one."""
    translators = both(exported(tmp_path, network, shifts=0.2))
    for width, height, colour in [(35, 28, (90, 128, 7)), (64, 64, (255, 255, 255)), (1, 1, (3, 0, 200))]:
        image = np.full((height, width, 3), colour, np.float32) / 255
        expected, found = (translator(image) for translator in translators)
        assert np.abs(expected - found).max() <= 1 / 255


def test_sixteen_bits_are_kept(deep_grey):
    image = Image.fromarray(noise(21, 34, 1, bits=16)[..., 0])
    expected, found = (translator(image) for translator in both(deep_grey))
    assert found.mode == "I;16"
    assert difference(expected, found) <= 257
    assert len(np.unique(found)) > 256


def test_batches_arrays_and_tensors_are_taken(colour):
    images = torch.rand(3, 3, 18, 9)
    expected, found = (translator(images) for translator in both(colour))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    array = images[0].permute(1, 2, 0).numpy()[::-1]
    expected, found = (translator(array) for translator in both(colour))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 5])
def test_a_seed_gives_the_noise_that_it_gives_from_safetensors(noisy, seed):
    image = Image.fromarray(noise(20, 27))
    reference, translator = both(noisy)
    assert difference(reference(image, seed=seed), translator(image, seed=seed)) <= 1
    assert difference(reference(image, seed=seed), translator(image, seed=seed + 1)) > 1


def test_a_graph_without_statistics_is_run_in_tiles(tmp_path):
    own, onnx = both(exported(tmp_path, UNetConfig(width=4, depth=3, norm="batch", padding="reflect")))
    image = noise(150, 203)
    whole = onnx(image, tile="off")
    for tile in (8, 30, 64):
        assert np.abs(onnx(image, tile=tile).astype(int) - whole).max() <= 1
    assert np.abs(own(image, tile=64).astype(int) - whole).max() <= 1


def test_a_graph_with_statistics_takes_whole_images(model):
    large = noise(600, 600)
    assert not model.in_parts(600, 600)
    with pytest.raises(InferenceError, match=r"statistics of the whole image, .* or use the .safetensors file"):
        model(large, tile=64)


def test_memory_is_given_back_after_large_images_only(model, monkeypatch):
    image = Image.fromarray(noise(16, 16))
    expected = model(image)
    real, asked = onnx_module._giving_memory_back, []
    monkeypatch.setattr(onnx_module, "_giving_memory_back", lambda: asked.append(1) or real())
    assert difference(model(image), expected) == 0
    assert asked == []
    monkeypatch.setattr(onnx_module, "KEPT_PIXELS", 255)
    assert difference(model(image), expected) == 0
    assert asked == [1]


def test_a_translator_can_be_copied(model):
    image = noise(9, 9)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(copied(image), model(image))


# No flags


def test_it_says_of_itself_what_safetensors_say(colour, model):
    source, file = colour
    assert isinstance(model, Translator)
    assert isinstance(model.network, OnnxNetwork)
    reference = load(source, device="cpu")
    assert model.config == reference.config
    assert (model.network.stride, model.network.minimum_size) == (1, 1)  # the graph pads
    assert (model.device.type, model.precision) == ("cpu", "fp32")
    one, other = describe(source), describe(file)
    assert (other.parameters, other.flops, other.config) == (one.parameters, one.flops, one.config)
    assert (other.file, other.file_bytes, other.dtype) == (file, file.stat().st_size, "fp32")


def test_it_has_as_many_threads_as_pytorch(model):
    assert model.network.file._session.get_session_options().intra_op_num_threads == torch.get_num_threads()


def test_onnxruntime_alone_will_do(colour):
    code = (
        "import sys; sys.modules['onnx'] = sys.modules['onnxscript'] = None\n"
        "import numpy, translate\n"
        "print(translate.load(sys.argv[1])(numpy.zeros((5, 7, 3), numpy.uint8)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code, colour[1]], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(5, 7, 3)", done.stderr


def test_other_devices_and_precisions_are_refused(colour):
    with pytest.raises(DeviceError, match="ONNX runs on the CPU, not on cuda: omit --device"):
        load(colour[1], device="cuda")
    with pytest.raises(DeviceError, match="ONNX runs in fp32, not in bf16: omit --precision"):
        load(colour[1], precision="bf16")
    assert load(colour[1], device="cpu", precision="fp32").precision == "fp32"


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """As releases exported whose graphs neither padded nor cropped, with noise."""
    import onnx
    from onnxscript import ir

    def shape_alone(graph, network, *, channels):
        graph.outputs[0].shape = ir.Shape(["batch", channels, "height", "width"])

    network = UNetConfig(width=4, depth=2, upsampling="transposed", dropout=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("translate.export.onnx._pad_and_crop", shape_alone)
        patch.setattr("translate.export.onnx.ANY_SIDES", "multiples")
        files = exported(tmp_path_factory.mktemp("older"), network, noise="always")
    model = onnx.load(files[1])
    said = {entry.key: entry.value for entry in model.metadata_props if entry.key != SIDES_KEY}
    onnx.helper.set_model_props(model, said)
    onnx.save(model, files[1])
    return files


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_files_of_releases_whose_graphs_did_not_pad_still_work(older, size):
    image = Image.fromarray(noise(size[1], size[0]))
    expected, found = (translator(image, seed=3) for translator in both(older))
    assert difference(expected, found) <= 1


def test_what_sides_other_programs_may_give_is_said(colour, older, capsys):
    assert describe(colour[0]).sides is None
    for file, sides, words in [
        (colour[1], (1, 1), "takes images of any height and width in other programs"),
        (older[1], (4, 4), "needs heights and widths that are multiples of 4, at least 4, in other programs"),
    ]:
        assert describe(file).sides == sides
        assert main(["info", str(file)]) == 0
        assert words in " ".join(capsys.readouterr().out.split())


def test_an_export_says_what_sides_it_takes(colour, tmp_path, capsys):
    assert main(["export", str(colour[0]), "-o", str(tmp_path / "x.onnx")]) == 0
    assert "images of any height and width" in capsys.readouterr().out


# What cannot be run


def edited(file, target, edit):
    """A copy of an export whose metadata or graph was changed."""
    import onnx

    changed = onnx.load(file)
    values = {entry.key: entry.value for entry in changed.metadata_props}
    edit(changed, values)
    onnx.helper.set_model_props(changed, values)
    onnx.save(changed, target)
    return target


def with_config(**changes):
    def edit(model, values):
        values[METADATA_KEY] = json.dumps({**json.loads(values[METADATA_KEY]), **changes})

    return edit


def another_name(model, values):
    model.graph.input[0].name = "pictures"
    for node in model.graph.node:
        node.input[:] = ["pictures" if name == "images" else name for name in node.input]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda model, values: values.clear(), "was not written by translate. Only what `translate export WEIGHTS"),
        (lambda model, values: values.update({METADATA_KEY: "{"}), "model.onnx: Expecting property name"),
        (with_config(format_version=99), "format version 99, and this release reads"),
        (with_config(kind="painter"), "kind = 'painter'"),
        (
            with_config(network=to_dict(UNetConfig(in_channels=4))),
            "channels are images 3, output 3, expected images 4, ",
        ),
        (with_config(network=to_dict(ResNetConfig(out_channels=1))), "does not fit the resnet .* Export it again"),
        (lambda model, values: values.update({NOISE_KEY: "[7]"}), "model.onnx: "),
        (lambda model, values: values.update({NOISE_KEY: '[{"name": "noise_0"}]'}), "stride: missing"),
        (another_name, "channels are pictures 3, output 3, expected images 3, output 3"),
    ],
)
def test_a_file_that_says_something_else_is_refused(colour, tmp_path, edit, message):
    file = edited(colour[1], tmp_path / "model.onnx", edit)
    with pytest.raises(WeightsError, match=message):
        load(file)


def test_a_discriminator_is_refused(colour, tmp_path):
    network = {"type": "patchgan", "in_channels": 3}
    file = edited(colour[1], tmp_path / "judge.onnx", with_config(kind="discriminator", network=network))
    with pytest.raises(WeightsError, match="holds a discriminator: only translators and segmenters are run from ONNX"):
        load(file)


def test_a_segmenter_is_described_and_not_applied(colour, tmp_path):
    file = edited(colour[1], tmp_path / "segmenter.onnx", with_config(kind="segmenter", classes=["a", "b", "c"]))
    assert describe(file).config.classes == ("a", "b", "c")
    with pytest.raises(InferenceError, match=r"holds a segmenter.*translating needs the weights of a translator"):
        load(file)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_torn_file_is_refused(colour, tmp_path, share):
    whole = colour[1].read_bytes()
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=r"torn\.onnx is a broken ONNX file \(.*\): copy or export it again"):
        load(torn)


def test_text_that_is_no_text_is_refused(colour, tmp_path):
    (tmp_path / "odd.onnx").write_bytes(colour[1].read_bytes().replace(b'"tiny"', b'"t\xff\xfey"'))
    with pytest.raises(WeightsError, match=r"odd\.onnx is a broken ONNX file \(.*decode"):
        load(tmp_path / "odd.onnx")


def test_a_file_of_another_format_is_refused(colour, tmp_path):
    (tmp_path / "renamed.onnx").write_bytes(colour[0].read_bytes())
    with pytest.raises(WeightsError, match=r"is a safetensors file despite its name: rename it to renamed\.safe"):
        load(tmp_path / "renamed.onnx")


def test_without_onnxruntime_the_install_command_is_given(colour, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(WeightsError, match=r"needs onnxruntime: pip install 'image-translate\[onnx\]'"):
        load(colour[1])


def test_a_lack_of_memory_is_said(colour, monkeypatch):
    class Full:
        def run(self, *arguments):
            raise Exception("AllocateRawInternal Failed to allocate memory for requested buffer of size 1207959552")

    translator = load(colour[1])
    translator.network.file._session = Full()
    with pytest.raises(InferenceError, match="7x5 is too large for the memory of cpu: make it smaller"):
        translator(noise(5, 7))

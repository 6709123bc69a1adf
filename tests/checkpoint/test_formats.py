"""Whole files of other kinds are called what they are, with a way from there; none is called truncated or run."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from translate.checkpoint.files import WeightsError, weights_file
from translate.checkpoint.formats import recognise
from translate.checkpoint.peers import import_weights
from translate.checkpoint.weights import load_weights
from translate.inference import load
from translate.inference.finding import find_weights

TABLE = bytes(40) + bytes.fromhex("57fb808b247547db")
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(88)


class Name:
    """Pickled as a name alone, ``package.Network``, which need not exist."""

    def __init__(self, package: str) -> None:
        self.package = package

    def __call__(self) -> None: ...


class Made:
    """Pickled as what a class of a package makes."""

    def __init__(self, package: str) -> None:
        self.package = package

    def __reduce_ex__(self, protocol) -> tuple:
        return Name(self.package), ()


class Namer(pickle._Pickler):  # the one written in Python, whose names can be made up
    def save(self, value, save_persistent_id=True):
        if isinstance(value, Name):
            if self.proto >= 4:
                self.save(value.package)
                self.save("Network")
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(pickle.GLOBAL + f"{value.package}\nNetwork\n".encode())
            return
        super().save(value, save_persistent_id)


def pickled(content, protocol: int) -> bytes:
    file = io.BytesIO()
    Namer(file, protocol).dump(content)
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, b"content")
    return file.getvalue()


def of_joblib() -> bytes:
    """As joblib writes an array: its values follow the instructions that made it, unmarked."""
    whole = pickled({"weight": Made("joblib.numpy_pickle")}, 4)
    return whole[:-1] + b"\x01\xff" * 40 + whole[-1:]


def image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    return file.getvalue()


PICKLE = r"is a pickle that torch\.save did not write \(protocol {}\), "
FILES = {
    **{
        f"plain {protocol}": (
            f"plain{protocol}.pkl",
            pickle.dumps({"G_ema": {"w": [0.5] * 9}}, protocol),
            PICKLE.format(protocol)
            + r"with plain values and no tensors: .*torch\.save\(network\.state_dict\(\), 'G\.pth'",
        )
        for protocol in (2, 3, 4, 5)
    },
    "plain 0": ("old.pkl", pickle.dumps({"a": 1}, 0), PICKLE.format(0) + "with plain values"),
    "stylegan2-ada": (
        "network-snapshot.pkl",
        pickled({"G_ema": Made("torch_utils.persistence"), "w": torch.zeros(2)}, 4),
        PICKLE.format(4) + r"NVIDIA's StyleGAN2-ADA .*python export_weights\.py .*network-snapshot\.pkl G\.pt$",
    ),
    "stylegan for tensorflow": (
        "ffhq.pkl",
        pickled([Made("dnnlib.tflib.network")], 3),
        PICKLE.format(3)
        + r"NVIDIA's StyleGAN for TensorFlow .*convert_weight\.py --repo STYLEGAN2_FOLDER .*ffhq\.pkl$",
    ),
    "scikit-learn": (
        "model.pkl",
        pickled([Made("sklearn.svm"), np.zeros(3)], 5),
        PICKLE.format(5) + "with a model of scikit-learn: that is not an image network, and cannot be imported",
    ),
    "another project": (
        "model.pkl",
        pickled(Made("fastai.learner"), 4),
        PICKLE.format(4) + "with objects of fastai",
    ),
    "joblib": ("model.joblib", of_joblib(), r"is a pickle that joblib wrote \(protocol 4\), with arrays of NumPy"),
    "joblib in zlib": (
        "model.z",
        zlib.compress(of_joblib()),
        "a pickle that was compressed by zlib, as joblib writes them",
    ),
    "joblib in gzip": (
        "model.gz",
        gzip.compress(of_joblib()),
        "a pickle that was compressed by gzip, as joblib writes",
    ),
    "gzip": ("g.pth.gz", gzip.compress(b"PK"), r"is compressed by gzip: unpack it \(gzip -d -k .*g\.pth\.gz\)"),
    "bzip2": ("g.pth.bz2", bz2.compress(b"PK"), r"is compressed by bzip2: unpack it \(bzip2 -d -k"),
    "xz": ("g.pth.xz", lzma.compress(b"PK"), r"is compressed by xz: unpack it"),
    "hdf5": ("weights.h5", HDF5, r"is an HDF5 file, as Keras .*h5py\.File\(sys\.argv\[1\]\).*weights\.h5; then rename"),
    "hdf5 of keras": (
        "weights.h5",
        HDF5 + b"keras_version",
        r"is an HDF5 file of Keras: .*kernels \[out, in, height, wi",
    ),
    "hdf5 of matlab": (
        "w.mat",
        b"MATLAB 7.3 MAT-file".ljust(512) + HDF5,
        r"is an HDF5 file, as Keras \(\.h5\) and MATLAB",
    ),
    "keras": (
        "m.keras",
        archive("metadata.json", "config.json", "model.weights.h5"),
        r"is a Keras model \(\.keras\): .*\.open\('model\.weights\.h5'\)",
    ),
    "tensorflow index": (
        "model.ckpt-9.index",
        TABLE,
        r"is a checkpoint of TensorFlow: .*tf\.train\.load_checkpoint.*/model\.ckpt-9; then rename the keys",
    ),
    "tensorflow data": (
        "model.ckpt-9.data-00000-of-00001",
        struct.pack("<9f", *range(9)),
        r"is a checkpoint of TensorFlow: .*/model\.ckpt-9; then rename",
    ),
    "saved model": (
        "saved_model.pb",
        b"\x08\x01\x12\x8e\x9b\x06\n\x8a\x04" + bytes(90),
        r"is a SavedModel of TensorFlow: .*tf\.train\.load_checkpoint.*/variables/variables; then rename",
    ),
    "frozen graph": (
        "frozen.bin",
        b"\n\x2e\n\x05input\x12\x0bPlaceholder*\x0b\n\x05dtype\x12\x020\x01" + bytes(90),
        "is a frozen graph of TensorFlow: take the checkpoint that it was frozen from",
    ),
    "tflite": ("m.bin", b"\x1c\0\0\0TFL3" + bytes(90), "is a TensorFlow Lite model"),
    "onnx": (
        "m.pth",
        b"\x08\x07\x12\x07pytorch\x1a\x032.1:\x80\x01" + bytes(90),
        r"is an ONNX file: what translate exported opens as it is.*onnx\.load\(sys\.argv\[1\]\)\.graph\.initializer",
    ),
    "onnx without a producer": ("m.pth", b"\x08\x08:\xf5\x03" + bytes(90), "is an ONNX file"),
    "gguf": ("m.gguf", b"GGUF\x03\0\0\0" + bytes(90), r"is a GGUF file, as llama\.cpp"),
    "npy": ("m.npy", b"\x93NUMPY\x01\0v\0{'descr'", r"is one NumPy array \(\.npy\)"),
    "tar": ("m.tar", None, "is a tar archive: unpack it"),
    "zip": (
        "m.zip",
        archive("readme.txt", "a/model.pth", "b", "c"),
        r"is a zip archive \(readme\.txt, a/model\.pth, b, \.\.\.\)",
    ),
    "image": ("photo.png", image(), "is an image: give the weights first, then images: translate apply WEIGHTS IMAGES"),
    "page": ("g.pth", b"<html>\n<body>", r"is text \(it starts with '<html>'\): copy or download it again"),
    "pointer": (
        "g.pth",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "is a pointer of Git LFS: git lfs pull",
    ),
}


def write(folder: Path, name: str, content: bytes | None) -> Path:
    file = folder / name
    if content is None:
        (folder / "inside.pth").write_bytes(b"\x80")
        with tarfile.open(file, "w") as made:
            made.add(folder / "inside.pth", "inside.pth")
        (folder / "inside.pth").unlink()
    else:
        file.write_bytes(content)
    return file


def run_command(message: str, folder: Path) -> None:
    """Type what a message says to type."""
    found = re.findall(r'python -c "[^"]*" \S+?(?=[,;]| |$)', message)
    assert len(found) == 1, message
    command = found[0].replace("python", sys.executable, 1)
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("reader", [import_weights, load_weights, load])
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path, kind, reader):
    name, content, message = FILES[kind]
    file = write(tmp_path, name, content)
    with pytest.raises(WeightsError, match=message) as caught:
        reader(file)
    assert "\n" not in str(caught.value)
    assert not re.search("truncated|complete|broken", str(caught.value))


@pytest.mark.parametrize("kind", ["hdf5", "onnx", "plain 4", "stylegan2-ada", "keras", "tensorflow index"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".onnx", ".pkl", ""])
def test_the_name_does_not_matter_where_the_content_says_it(tmp_path, kind, suffix):
    _, content, _ = FILES[kind]
    first = recognise(write(tmp_path, "model.bin", content))
    assert recognise(write(tmp_path, f"model{suffix}", content)).what == first.what


def test_what_torch_wrote_is_left_to_torch(tmp_path):
    for number, old in enumerate((False, True)):
        file = tmp_path / f"{number}.h5"
        torch.save({"a": torch.zeros(2)}, file, _use_new_zipfile_serialization=not old)
        assert recognise(file) is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_part_of_a_pickle_is_truncated(tmp_path, share):
    whole = pickle.dumps({"a": list(range(99))}, 4)
    (tmp_path / "x.pkl").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=r"x\.pkl is truncated"):
        import_weights(tmp_path / "x.pkl")


def test_a_pickle_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    for protocol in (2, 4, 5):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": Payload()}, protocol))
        for reader in (import_weights, load_weights):
            with pytest.raises(WeightsError, match=r"with objects of (posix|nt): in the project"):
                reader(tmp_path / "x.pkl")
    assert not (tmp_path / "ran").exists()


# The way from there


@pytest.mark.parametrize("content", ["state dict", "module"])
def test_the_command_for_tensors_in_a_pickle_works(tmp_path, content):
    network = nn.Sequential(nn.Conv2d(3, 8, 7), nn.Conv2d(8, 3, 3))
    file = tmp_path / "my net.pkl"
    file.write_bytes(pickle.dumps(network if content == "module" else network.state_dict()))
    expected = "with a whole module of PyTorch" if content == "module" else "with tensors of PyTorch"
    with pytest.raises(
        WeightsError, match=rf"{expected}: if you trust it, .*'.*my net\.pkl', and import G\.pth"
    ) as caught:
        import_weights(file)
    file.rename(tmp_path / "net.pkl")
    run_command(str(caught.value).replace("'" + str(file) + "'", str(tmp_path / "net.pkl")), tmp_path)
    assert torch.load(tmp_path / "G.pth", weights_only=True).keys() == network.state_dict().keys()


@pytest.mark.parametrize("old", [False, True])
def test_a_later_protocol_of_torch_save_is_named_with_a_command_that_works(tmp_path, old):
    file = tmp_path / "net.pth"
    torch.save({"w": torch.ones(2)}, file, pickle_protocol=4, _use_new_zipfile_serialization=not old)
    with pytest.raises(WeightsError, match=r"net\.pth was saved with pickle_protocol=4.*and import G\.pth") as caught:
        import_weights(file)
    run_command(str(caught.value), tmp_path)
    assert torch.load(tmp_path / "G.pth", weights_only=True)["w"].tolist() == [1, 1]


@pytest.mark.parametrize("form", ["pickle", "npz", "joblib"])
def test_the_command_for_arrays_works(tmp_path, form):
    arrays = {"model.1.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    file = tmp_path / f"net.{form}"
    if form == "pickle":
        file.write_bytes(pickle.dumps(arrays, 5))
    elif form == "npz":
        with file.open("wb") as opened:
            np.savez(opened, **arrays)
    else:
        pytest.importorskip("joblib").dump(arrays, file)
    with pytest.raises(WeightsError, match=r"of NumPy.*; then rename the keys in converted\.safetensors") as caught:
        import_weights(file)
    run_command(str(caught.value), tmp_path)
    assert load_file(tmp_path / "converted.safetensors")["model.1.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_command_for_onnx_works(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    weight = onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "model.1.weight")
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value], [weight])
    graph.output[0].name = "y"
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    with pytest.raises(WeightsError, match="is an ONNX file") as caught:
        import_weights(tmp_path / "net.onnx")
    run_command(str(caught.value), tmp_path)
    assert load_file(tmp_path / "converted.safetensors")["model.1.weight"].shape == (2, 3)


def test_the_command_for_a_program_of_torch_export_works(tmp_path):
    program = torch.export.export(nn.Conv2d(1, 1, 1), (torch.zeros(1, 1, 4, 4),))
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(WeightsError, match=r"is a program that torch\.export\.save wrote") as caught:
        import_weights(tmp_path / "net.pt2")
    run_command(str(caught.value), tmp_path)
    assert torch.load(tmp_path / "G.pth", weights_only=True).keys() == {"weight", "bias"}


@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_the_command_for_hdf5_works(tmp_path, kind):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "model.weights.h5", "w") as made:
        made["layers/conv/kernel"] = np.ones((7, 7, 3, 8), np.float32)
    file = tmp_path / "model.weights.h5"
    if kind == "keras":
        file = tmp_path / "model.keras"
        with zipfile.ZipFile(file, "w") as made:
            made.write(tmp_path / "model.weights.h5", "model.weights.h5")
    with pytest.raises(WeightsError, match="Keras") as caught:
        import_weights(file)
    run_command(str(caught.value), tmp_path)
    assert load_file(tmp_path / "converted.safetensors")["layers/conv/kernel"].shape == (7, 7, 3, 8)


# Folders


@pytest.mark.parametrize("kind", ["saved model", "keras", "hdf5", "plain 4", "tensorflow index", "gguf"])
def test_a_folder_of_such_a_file_names_it(tmp_path, kind):
    name, content, _ = FILES[kind]
    write(tmp_path, "readme.txt", b"hello")
    file = write(tmp_path, name, content)
    said = re.escape(f"{file} is {recognise(file).what}: ")
    with pytest.raises(
        WeightsError, match=r"expected a weights folder, a run folder or a \.safetensors file\. " + said
    ):
        weights_file(tmp_path)
    with pytest.raises(WeightsError, match="is a folder, and " + said):
        import_weights(tmp_path)


def test_a_folder_of_images_is_not_searched_for_weights(tmp_path):
    (tmp_path / "photo.png").write_bytes(image())
    with pytest.raises(WeightsError, match=r"or a \.safetensors file$"):
        weights_file(tmp_path)


def test_safetensors_of_others_still_name_the_import(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "x.bin")
    with pytest.raises(WeightsError, match=r"not written by translate\. .*translate import"):
        load_weights(find_weights(tmp_path / "x.bin"))

"""What a file is that holds no weights of this kind, and the way from there to weights that can be imported.

Recognised by content first and by name where the content says nothing. Nothing in a file is run: of a pickle, the
instructions are read and not followed.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickletools
import re
import shlex
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HEAD = 4096  # bytes that are looked at
TORCH_MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # the number that torch.save's older format starts with
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # the last bytes of TensorFlow's .index and its older checkpoints
TORCH_PICKLES = 4  # that older format is four pickles and then the values

_CONVERTED = "converted.safetensors"
_THEN = f"then rename the keys in {_CONVERTED} as pytorch-CycleGAN-and-pix2pix, CUT or stylegan2-pytorch call them"
_KERNELS = f"{_THEN}, with kernels [out, in, height, width], and import it"
_STATE_DICT = (
    "in the project that wrote it, save the network's state dict: torch.save(network.state_dict(), 'G.pth'), then "
    "translate import G.pth -o weights/G"
)
_SOURCE = "use the weights it was converted from: a PyTorch or safetensors file"


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A file of another kind."""

    kind: str
    """In a word: ``pickle``, ``onnx``, ``safetensors``."""
    what: str
    """As it follows "is"."""
    way: str
    """What to type or do."""

    def __str__(self) -> str:
        return f"{self.what}: {self.way}"


def recognise(path: Path) -> Foreign | None:
    """What a file is; None where it is unknown, torn, or what ``torch.save`` wrote.

    A safetensors file is recognised by its header alone: its values may be cut off.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, size - len(TABLE_MAGIC)))
        tail = file.read()
    if not head:
        return None
    if head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size:
        rename = f"rename it to {path.with_suffix('.safetensors').name}"
        return Foreign(kind="safetensors", what="a safetensors file despite its name", way=rename)
    if head[:2] == b"PK":
        return _zip(path) if zipfile.is_zipfile(path) else None
    if head[:1] == b"\x80":
        return None if TORCH_MAGIC in head[:32] else _pickle(path)
    if tail == TABLE_MAGIC:
        return _tensorflow_checkpoint(path)
    for offset, magic, made in _MAGIC:
        if head.startswith(magic, offset):
            return made(path)
    if packing := next((name for name, magic in _PACKED.items() if head.startswith(magic)), None):
        return _packed(path, packing)
    for pattern, made in _PROTOBUF:
        if pattern.match(head):
            return made(path)
    by_name = next((made for ending, made in _NAMES.items() if re.search(ending, path.name.lower())), None)
    return by_name(path) if by_name is not None else _text(path, head)


def recognise_folder(folder: Path) -> tuple[Path, Foreign] | None:
    """The first file in a folder that by its name may hold weights, and what it is; None where there is none."""
    for path in sorted(path for path in folder.iterdir() if re.search(_WEIGHTS, path.name.lower())):
        if path.is_file() and (found := recognise(path)) is not None:
            return path, found
    return None


# Pickles


@dataclass(frozen=True, kw_only=True)
class Pickled:
    """What a pickle's instructions say."""

    protocol: int
    names: tuple[str, ...]
    """The classes and functions that it would import."""
    whole: bool
    """Whether it has an end."""

    def holds(self, *packages: str) -> bool:
        """Whether something of these packages, or modules, would be imported."""
        return any(f"{name}.".startswith(f"{package}.") for name in self.names for package in packages)


def read_pickle(file: IO[bytes], *, parts: int = 1) -> Pickled:
    """Read the instructions of one pickle, or of several that follow each other, without following them."""
    found: list[str] = []
    protocols: list[int] = []
    try:
        for _ in range(parts):
            found.extend(_names(file, protocols))
        whole = True
    except Exception:  # a pickle need not make sense; what was read of it until then is reported
        whole = False
    return Pickled(protocol=max(protocols, default=0), names=tuple(dict.fromkeys(found)), whole=whole)


def _names(file: IO[bytes], protocols: list[int]) -> Iterator[str]:
    """What a pickle imports: the argument of GLOBAL, or the two strings that STACK_GLOBAL finds on the stack."""
    memo: dict[int, str | None] = {}
    strings: list[str] = []
    last: str | None = None  # what was put on the stack last, as far as it is text
    for instruction, argument, _ in pickletools.genops(file):
        name = instruction.name
        if name == "PROTO" and isinstance(argument, int):
            protocols.append(argument)
        elif name == "MEMOIZE":
            memo[len(memo)] = last
        elif name in ("PUT", "BINPUT", "LONG_BINPUT") and isinstance(argument, int):
            memo[argument] = last
        else:
            if name in ("GLOBAL", "INST"):
                yield str(argument).replace(" ", ".")
            elif name == "STACK_GLOBAL":
                yield ".".join(strings[-2:])
            last = memo.get(argument) if name in ("GET", "BINGET", "LONG_BINGET") else argument  # type: ignore[arg-type]
            last = last if isinstance(last, str) else None
            strings = [*strings[-1:], last] if last is not None else strings


def _pickle(path: Path) -> Foreign | None:
    with path.open("rb") as file:
        found = read_pickle(file)
    by_joblib = found.holds("joblib")  # which puts the values of arrays between the instructions
    if not found.whole and not by_joblib:
        return None

    def saying(what: str, way: str) -> Foreign:
        by = "that joblib wrote" if by_joblib else "that torch.save did not write"
        return Foreign(kind="pickle", what=f"a pickle {by} (protocol {found.protocol}), {what}", way=way)

    if found.holds("torch_utils"):
        return saying(
            "NVIDIA's StyleGAN2-ADA or StyleGAN3 with its code, which is not run",
            "export_weights.py of github.com/dvschultz/stylegan2-ada-pytorch makes a .pt of StyleGAN2-ADA's that can "
            f"be imported: python export_weights.py {_quoted(path)} G.pt",
        )
    if found.holds("dnnlib"):
        return saying(
            "NVIDIA's StyleGAN for TensorFlow with its code, which is not run",
            "convert_weight.py of github.com/rosinality/stylegan2-pytorch makes a .pt of StyleGAN2's that can be "
            f"imported: python convert_weight.py --repo STYLEGAN2_FOLDER {_quoted(path)}",
        )
    opened = "joblib.load(sys.argv[1])" if by_joblib else "pickle.load(open(sys.argv[1], 'rb'))"
    trusted = "if you trust it, since opening it can run code, "
    if found.holds("sklearn"):
        return saying("with a model of scikit-learn", "that is not an image network, and cannot be imported")
    if found.holds("torch"):
        modules = [name for name in found.names if not name.startswith(("torch._", "torch.storage.", "collections."))]
        state = f"{opened}.state_dict()" if any(name.startswith("torch.nn.") for name in modules) else opened
        kind = "with a whole module of PyTorch" if state != opened else "with tensors of PyTorch"
        return saying(
            kind,
            trusted
            + python_command(f"import sys, pickle, torch; torch.save({state}, 'G.pth')", path)
            + ", and import G.pth",
        )
    others = sorted({name.split(".")[0] for name in found.names} - {"numpy", "joblib", "collections", "builtins"})
    if others:
        return saying(f"with objects of {', '.join(others[:3])}", _STATE_DICT)
    if not found.names:
        return saying("with plain values and no tensors", _STATE_DICT)
    module = "joblib" if by_joblib else "pickle"
    code = f"import sys, numpy, {module}, safetensors.numpy as s; s.save_file("
    code += f"{{str(k): numpy.array(v) for k, v in {opened}.items()}}, '{_CONVERTED}')"
    return saying("with arrays of NumPy", f"{trusted}{python_command(code, path)}; {_THEN}, and import it")


# Archives


def _zip(path: Path) -> Foreign | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return None
    if any(name.endswith("data.pkl") for name in names):  # torch.save's
        return None
    if not names:
        return Foreign(kind="zip", what="a zip archive without files", way="copy or download it again")
    if all(name.endswith(".npy") for name in names):
        code = f"import sys, numpy, safetensors.numpy as s; s.save_file(dict(numpy.load(sys.argv[1])), '{_CONVERTED}')"
        way = f"{python_command(code, path)}; {_THEN}, and import it"
        return Foreign(kind="npz", what="an archive of NumPy arrays (.npz)", way=way)
    if "model.weights.h5" in names:
        way = _hdf5_way(path, "zipfile.ZipFile(sys.argv[1]).open('model.weights.h5')")
        return Foreign(kind="keras", what="a Keras model (.keras)", way=way)
    if any(name.endswith("archive_format") for name in names) and any("/models/" in name for name in names):
        what = "a program that torch.export.save wrote"
        code = "import sys, torch; torch.save(torch.export.load(sys.argv[1]).state_dict, 'G.pth')"
        return Foreign(kind="pt2", what=what, way=f"{python_command(code, path)}, and import G.pth")
    inside = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return Foreign(kind="zip", what=f"a zip archive ({inside})", way="unpack it, and give the file of the weights")


_PACKED = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
    "zlib": b"\x78",
}
_UNPACK: dict[str, Callable[[Path], IO[bytes]]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}  # type: ignore[dict-item]


def _packed(path: Path, packing: str) -> Foreign | None:
    """A compressed file; of zlib, whose two bytes say little, only a pickle."""
    try:
        if packing == "zlib":
            with path.open("rb") as packed:
                inside = zlib.decompressobj().decompress(packed.read(HEAD), 2)
        elif packing in _UNPACK:
            with _UNPACK[packing](path) as file:
                inside = file.read(2)
        else:
            inside = b""
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        inside = b""
    if inside[:1] == b"\x80":
        what = f"a pickle that was compressed by {packing}, as joblib writes them"
        return Foreign(kind="pickle", what=what, way=_STATE_DICT)
    if packing == "zlib":
        return None
    way = f"unpack it ({packing} -d -k {_quoted(path)}), and give what comes out"
    return Foreign(kind=packing, what=f"compressed by {packing}", way=way)


# HDF5 and TensorFlow


def _hdf5(path: Path) -> Foreign:
    with path.open("rb") as file:
        start = file.read(2**20)
    by_keras = b"keras" in start or path.name.lower().endswith(".weights.h5")
    what = f"an HDF5 file{' of Keras' if by_keras else ', as Keras (.h5) and MATLAB write them'}"
    return Foreign(kind="hdf5", what=what, way=_hdf5_way(path, "sys.argv[1]"))


def _hdf5_way(path: Path, opened: str) -> str:
    imports = "sys, zipfile, h5py" if "zipfile" in opened else "sys, h5py"
    code = (
        f"import {imports}, safetensors.numpy as s; t = {{}}; h5py.File({opened}).visititems(lambda k, v: "
        f"t.update({{k: v[()]}}) if getattr(v, 'shape', ()) else None); s.save_file(t, '{_CONVERTED}')"
    )
    return f"{python_command(code, path)}; {_KERNELS}"


def _tensorflow_checkpoint(path: Path) -> Foreign:
    return Foreign(kind="tensorflow", what="a checkpoint of TensorFlow", way=_tensorflow_way(path))


def _saved_model(path: Path) -> Foreign:
    variables = path.parent / "variables" / "variables"
    return Foreign(kind="tensorflow", what="a SavedModel of TensorFlow", way=_tensorflow_way(variables))


def _tensorflow_way(path: Path) -> str:
    prefix = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", str(path))
    code = (
        "import sys, numpy, tensorflow as tf, safetensors.numpy as s; r = tf.train.load_checkpoint(sys.argv[1]); "
        "s.save_file({k: numpy.array(r.get_tensor(k)) for k in r.get_variable_to_shape_map() if k[0] != '_'}, "
        f"'{_CONVERTED}')"
    )
    return f"{python_command(code, Path(prefix))}; {_KERNELS}"


# Everything else


def _saying(kind: str, what: str, way: str = _SOURCE) -> Callable[[Path], Foreign]:
    return lambda path: Foreign(kind=kind, what=what, way=way)


def _onnx(path: Path) -> Foreign:
    code = (
        "import sys, onnx, safetensors.numpy as s; s.save_file({t.name: onnx.numpy_helper.to_array(t) for t in "
        f"onnx.load(sys.argv[1]).graph.initializer}}, '{_CONVERTED}')"
    )
    ours = "what translate exported opens as it is, under a name that ends in .onnx; for another project's, "
    return Foreign(kind="onnx", what="an ONNX file", way=f"{ours}{python_command(code, path)}; {_THEN}, and import it")


def _text(path: Path, head: bytes) -> Foreign | None:
    start = head.lstrip()[:40].decode("utf-8", "replace").splitlines()
    if b"\0" in head or not start or not start[0].isprintable():
        return None
    if head.startswith(b"version https://git-lfs"):
        return Foreign(kind="text", what="a pointer of Git LFS", way="git lfs pull fetches the file itself")
    if _OLD_PICKLE.match(head) and (found := _pickle(path)) is not None:
        return found
    what = f"text (it starts with {start[0]!r})"
    return Foreign(kind="text", what=what, way="copy or download it again, or give the file of the weights")


_OLD_PICKLE = re.compile(rb"\([dlp]|c[\w.]+\n\w+\n")  # protocols 0 and 1, which start with no mark

_IMAGE = _saying("image", "an image", "give the weights first, then images: translate apply WEIGHTS IMAGES -o OUT")
_MAGIC: tuple[tuple[int, bytes, Callable[[Path], Foreign]], ...] = (
    *((offset, b"\x89HDF\r\n\x1a\n", _hdf5) for offset in (0, 512, 1024, 2048)),
    (4, b"TFL3", _saying("tflite", "a TensorFlow Lite model, for mobile devices")),
    (4, b"ORTM", _saying("ort", "a model in onnxruntime's own format", "take the ONNX file that it was made from")),
    (0, b"GGUF", _saying("gguf", "a GGUF file, as llama.cpp and stable-diffusion.cpp read them")),
    (0, b"\x93NUMPY", _saying("npy", "one NumPy array (.npy)", f"a network has many: {_STATE_DICT}")),
    (0, b"MATLAB 5.0 MAT-file", _saying("matlab", "a MATLAB file (.mat)")),
    (257, b"ustar", _saying("tar", "a tar archive", "unpack it (tar -xf), and give the file of the weights")),
    (0, b"7z\xbc\xaf\x27\x1c", _saying("7z", "a 7z archive", "unpack it, and give the file of the weights")),
    (0, b"Rar!", _saying("rar", "a RAR archive", "unpack it, and give the file of the weights")),
    (0, b"%PDF", _saying("pdf", "a PDF document", "give the file of the weights")),
    *((0, magic, _IMAGE) for magic in (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")),
    (8, b"WEBP", _IMAGE),
)
_PROTOBUF: tuple[tuple[re.Pattern[bytes], Callable[[Path], Foreign]], ...] = (
    # schema version 1, then a long graph with its meta data
    (re.compile(rb"\x08\x01\x12[\x80-\xff]+[\x01-\x7f]\n", re.DOTALL), _saved_model),
    # version of the format, then what made it, or operators, or the graph
    (re.compile(rb"\x08[\x03-\x20](\x12[\x01-\x40][\w.+ -]+|:[\x80-\xff]|B[\x02-\x40])", re.DOTALL), _onnx),
    # a node: its name, then its operator
    (
        re.compile(rb"\n[\x01-\xff]{1,4}?\n[\x01-\x7f][\w./-]+\x12[\x01-\x1f][A-Z]\w+", re.DOTALL),
        _saying("tensorflow", "a frozen graph of TensorFlow", "take the checkpoint that it was frozen from"),
    ),
)
_NAMES: dict[str, Callable[[Path], Foreign]] = {
    r"\.data-\d+-of-\d+$": _tensorflow_checkpoint,
    r"\.meta$": _tensorflow_checkpoint,
    r"\.onnx$": _onnx,
    r"^saved_model\.pb(txt)?$": _saved_model,
    r"\.pb(txt)?$": _saying("tensorflow", "a graph of TensorFlow", "take the checkpoint that it was made from"),
    r"\.mlmodel$": _saying("coreml", "a Core ML model"),
    r"\.msgpack$": _saying("flax", "a file of Flax (msgpack)", "in its project, save the parameters as safetensors"),
    r"\.caffemodel$": _saying("caffe", "a Caffe model"),
}
_WEIGHTS = r"\.(pkl|pickle|joblib|h5|hdf5|keras|pb|ckpt|index|tflite|onnx|gguf|bin|npz|mlmodel|msgpack|caffemodel)$"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def python_command(code: str, path: Path) -> str:
    """What to type to run code on a file, its ``sys.argv[1]``."""
    return f'python -c "{code}" {_quoted(path)}'

"""The floors of the house: who may import whom, where the host may not wait for the device, what needs no torch."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import translate

PACKAGE = Path(translate.__file__).parent
ORDER = "config < blocks < networks < losses < data < metrics < checkpoint < inference < export < recipes < engine"
FLOORS = tuple(f"{ORDER} < applications < cli".split(" < "))
# Installed inside the package, but not floors of it: data, and what stands on top of everything.
DATA = "weights"
OUTSIDE = ("demos", "scripts", "tests")
DEVICE_FLOORS = ("blocks", "networks", "losses", "recipes")
HOST_SYNCS = ("item", "cpu", "tolist")


def imported_modules(node: ast.AST) -> Iterator[str]:
    """The absolute names that an import statement may load: `from a import b` gives `a` and `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def lazy_nodes(tree: ast.Module) -> set[ast.AST]:
    """The nodes inside functions and under `if TYPE_CHECKING:`: what merely importing the module does not run."""
    lazy: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and not ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If):
            lazy.update(child for statement in node.body for child in ast.walk(statement))
    return lazy


def import_faults(package: Path) -> list[str]:
    """What the modules of `package` import against the order of the floors, one line a fault."""
    faults = []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        relative = path.relative_to(package)
        own = relative.with_suffix("").parts[0]
        lazy = lazy_nodes(tree)
        if own not in (*FLOORS, "__init__", "__main__"):
            faults.append(f"{relative}: is on no floor")
            continue
        for node in ast.walk(tree):
            where = f"{relative}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ImportFrom) and node.level:
                faults.append(f"{where}: relative import")
            for name in imported_modules(node):
                top, _, rest = name.partition(".")
                floor = rest.partition(".")[0]
                if top in OUTSIDE or (top == "translate" and floor in OUTSIDE):
                    if not (own == "cli" and floor == "demos" and node in lazy):
                        faults.append(f"{where}: imports {name}")
                elif top != "translate" or floor == DATA or own == "__main__":
                    continue
                elif own == "__init__":
                    if node not in lazy:
                        faults.append(f"{where}: imports {name} at once; only inside functions here")
                elif floor not in FLOORS:
                    faults.append(f"{where}: imports {name}, which is on no floor")
                elif FLOORS.index(floor) > FLOORS.index(own):
                    faults.append(f"{where}: {own} imports upward from {floor}")
    return faults


def sync_faults(package: Path) -> list[str]:
    """Calls in the floors that run on the device and that make the host wait for it."""
    return [
        f"{path.relative_to(package)}:{node.lineno}: .{node.func.attr}()"
        for floor in DEVICE_FLOORS
        for path in sorted((package / floor).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in HOST_SYNCS
    ]


def test_imports_go_down_only() -> None:
    assert import_faults(PACKAGE) == []


def test_device_floors_do_not_wait_for_the_device() -> None:
    assert sync_faults(PACKAGE) == []


def test_every_floor_is_there() -> None:
    present = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert set(FLOORS) <= present


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("blocks/conv.py", "from translate.networks.unet import UNet", "blocks imports upward from networks"),
        ("blocks/conv.py", "from translate import engine", "blocks imports upward from engine"),
        ("losses/l1.py", "def f():\n    import translate.data.images", "losses imports upward from data"),
        ("blocks/conv.py", "from .norm import norm", "relative import"),
        ("engine/engine.py", "from translate.demos.app import launch", "imports translate.demos.app"),
        ("cli/demo.py", "from translate.demos.app import launch", "imports translate.demos.app"),
        ("cli/demo.py", "import tests", "imports tests"),
        ("data/images.py", "from translate import load", "which is on no floor"),
        ("__init__.py", "from translate.config import base", "at once"),
        ("helpers.py", "", "is on no floor"),
        ("blocks/conv.py", "from translate.config.networks import UNetConfig\nfrom translate.blocks import norm", None),
        ("cli/demo.py", "def demo():\n    from translate.demos.app import launch", None),
        ("__init__.py", "def load(name):\n    from translate.inference.translator import Translator", None),
        ("checkpoint/weights.py", "import translate.weights, torch", None),
    ],
)
def test_import_faults_are_seen(tmp_path: Path, file: str, source: str, fault: str | None) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(source)
    faults = import_faults(tmp_path)
    assert len(faults) == (fault is not None)
    assert fault is None or fault in faults[0]


@pytest.mark.parametrize(("floor", "count"), [("losses", 2), ("engine", 0)])
def test_host_syncs_are_seen(tmp_path: Path, floor: str, count: int) -> None:
    (tmp_path / floor).mkdir()
    (tmp_path / floor / "l1.py").write_text("value = loss.item()\nimage = x.detach().cpu()\nitem = batch.items()\n")
    assert len(sync_faults(tmp_path)) == count


STARTS = {
    "import translate": ("import translate", ["torch", "torchvision", "kornia", "gradio", "numpy", "PIL"]),
    "a configuration": (
        "import translate.config as c; c.from_dict(c.Pix2PixConfig, {'data': {'root': 'a'}, 'run': {'out': 'b'}})",
        ["torch", "numpy", "PIL"],
    ),
    "translate --help": ("helped()", ["torch", "torchvision", "kornia", "gradio"]),
    "translate train pix2pix --help": ("helped('train', 'pix2pix')", ["torch", "gradio"]),
    "losses": ("import translate.losses", ["kornia"]),
    # PyTorch's compiler and its algebra take a second and a half, and arithmetic on the meta device imports them.
    "all that ships": (
        "from translate.inference.describe import describe; from translate.inference.finding import shipped_weights; "
        "assert [describe(one) for one in shipped_weights().values()]",
        ["kornia", "torch._dynamo", "sympy", "sklearn", "scipy"],
    ),
    # Of 6 s on a small machine kornia would take 3 and torch's compiler 1.5.
    "the demo": ("import translate.demos.app", ["kornia", "torch._dynamo", "sympy", "sklearn"]),
}
"""What is started, one after the other in one process, and what must not have been imported by then."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """For each start, all modules that were there after it."""
    code = (
        "import json, sys\n"
        "def helped(*command):\n"
        "    from translate.cli import main\n"
        "    sys.argv = ['translate', *command, '--help']\n"
        "    try: main()\n"
        "    except SystemExit as stop: assert not stop.code, stop.code\n"
        "after = {}\n"
    )
    for name, (start, _) in STARTS.items():
        guarded = f"try: {start}\nexcept ImportError: pass\n" if "demos" in start else f"{start}\n"
        code += f"{guarded}after[{name!r}] = list(sys.modules)\n"
    code += "print('\\n' + json.dumps(after))"
    folder = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--direction" in done.stdout  # the help of pix2pix
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", STARTS)
def test_starts_without_what_takes_seconds(started: dict[str, list[str]], name: str) -> None:
    assert [module for module in STARTS[name][1] if module in started[name]] == []


def test_the_demo_was_started(started: dict[str, list[str]]) -> None:
    pytest.importorskip("gradio", reason="the demo needs gradio")
    assert "translate.demos.app" in started["the demo"]
    assert "torch" in started["losses"]

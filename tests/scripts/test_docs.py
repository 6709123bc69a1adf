"""The API reference is built from the docstrings; that there are enough of them is checked here, too."""

import ast
import importlib.util
import warnings
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("pdoc", reason="the reference is built by pdoc")


def load():
    spec = importlib.util.spec_from_file_location("docs", ROOT / "scripts" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_built(tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Found .* in translate.__all__")
        load().build(tmp_path, floors=["losses"])
    page = (tmp_path / "translate.html").read_text(encoding="utf-8")
    for name in ("configure", "load", "train", "Translator", "TranslateError"):
        assert f'id="{name}"' in page
    assert "hinge" in (tmp_path / "translate" / "losses" / "adversarial.html").read_text(encoding="utf-8")


def test_all_floors_are_in_it():
    floors = {path.parent.name for path in (ROOT / "translate").glob("*/__init__.py")} - {"demos", "weights"}
    assert set(load().FLOORS) == floors


def public(node):
    """The public functions, classes and methods below a node."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            if "overload" not in [ast.unparse(one) for one in child.decorator_list]:
                yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


@pytest.mark.parametrize("floor", load().FLOORS)
def test_what_is_public_has_a_docstring(floor):
    found = Counter()
    for path in (ROOT / "translate" / floor).rglob("*.py"):
        found.update(ast.get_docstring(node) is not None for node in public(ast.parse(path.read_text("utf-8"))))
    assert found[True] >= 0.8 * found.total()

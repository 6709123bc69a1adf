"""What people expect of a package: a version, types, one base of its errors, and a wheel that works away from here."""

import importlib
import os
import pkgutil
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest

import translate

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def error_classes():
    """Every class of this package whose name says that it is an error."""
    names = [module.name for module in pkgutil.walk_packages(translate.__path__, "translate.")]
    for name in names:
        if name.endswith("__main__") or name.startswith("translate.weights"):
            continue
        module = importlib.import_module(name)
        for value in vars(module).values():
            if isinstance(value, type) and value.__name__.endswith("Error") and value.__module__ == name:
                yield value


def test_all_errors_have_one_base():
    classes = set(error_classes())
    assert len(classes) >= 15
    assert [kind.__name__ for kind in classes if not issubclass(kind, translate.TranslateError)] == []


def test_error_of_python_use_is_caught_by_the_base():
    with pytest.raises(translate.TranslateError, match="no-such-weights"):
        translate.load("no-such-weights")


def test_version_is_the_one_of_the_project(capsys):
    from translate.cli.main import main

    assert translate.__version__ == PROJECT["version"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"translate {PROJECT['version']}\n"
    places = [
        path for path in (ROOT / "translate").rglob("*.py") if re.search(r"['\"]0\.\d+\.\d+['\"]", path.read_text())
    ]
    assert places == []


def test_changelog_names_the_version():
    changelog = (ROOT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {PROJECT['version']}" in changelog


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, built and unpacked into a folder of its own, and an environment that finds only that."""
    pytest.importorskip("setuptools", "77")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("translate", "demos", "weights"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source]
    subprocess.run([*pip, *build], check=True, timeout=200)
    [wheel] = folder.glob("*.whl")
    target = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", target, wheel], check=True, timeout=200)
    return target, {**os.environ, "PYTHONPATH": str(target), "PYTHONSAFEPATH": "1"}


def run(installed, folder, *arguments):
    target, environment = installed
    code = "import sys, translate.cli as c; print(c.__file__, file=sys.stderr); sys.exit(c.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stderr.splitlines()[0]).is_relative_to(target)
    return done.stdout


def test_wheel_has_types_weights_and_pages(installed):
    target, _ = installed
    for name in ("py.typed", "weights/facades/model.safetensors", "demos/assets/demo.css", "demos/app.py"):
        assert (target / "translate" / name).exists(), name
    assert not list(target.glob("tests*"))
    assert not list(target.glob("demos*"))


def test_wheel_translates(installed, tmp_path):
    run(installed, tmp_path, "apply", "facades", ROOT / "demos" / "assets" / "drawing.png", "-o", "photo.png")
    assert (tmp_path / "photo.png").exists()
    assert run(installed, tmp_path, "--version").strip() == f"translate {PROJECT['version']}"


def test_demo_of_the_wheel_answers(installed, tmp_path):
    pytest.importorskip("gradio")
    target, environment = installed
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "translate", "demo", "--no-browser", "--port", str(port)]
    with (tmp_path / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            page = answer(f"http://127.0.0.1:{port}/", process, tmp_path / "log.txt")
        finally:
            process.terminate()
            process.wait(30)
    assert "translate" in page
    assert (target / "translate" / "demos" / "app.py").exists()


def answer(address, process, log, seconds=200):
    """The page at an address, once it is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=10) as page:
                return page.read().decode()
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())

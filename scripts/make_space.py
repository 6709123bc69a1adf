"""Write a folder that runs as a Hugging Face Space: the demo, the weights that ship, and what they need.

    python scripts/make_space.py OUT [--title TITLE] [--check]

Push OUT to a Space of the Gradio kind; nothing else is asked for. Visitors cannot name files of the machine, and train
nothing on it. --check starts what was written, from there alone, and asks it for its page.
"""

import argparse
import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APP = '''"""The demo of translate, as a Space."""

import os

from translate.demos.app import launch

launch(host="0.0.0.0", port=int(os.environ.get("PORT", "7860")), open_browser=False)
'''
CARD = """---
title: {title}
emoji: 🎨
colorFrom: green
colorTo: blue
sdk: gradio
sdk_version: {gradio}
python_version: "3.11"
app_file: app.py
license: mit
short_description: Translate, draw and make images with small networks
---

The demo of translate. What its weights were trained on, and under which terms they may be used, is said on the page's
Weights tab; some are for research and teaching only.
"""


def requirements() -> list[str]:
    """What the package and its demo need, without Gradio, which a Space has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def of(extra: str) -> list[str]:
        found = []
        for line in extras[extra]:
            if inner := re.fullmatch(rf"{project['name']}\[(.+)\]", line):
                found += [one for name in inner[1].split(",") for one in of(name)]
            else:
                found.append(line)
        return found

    return [line for line in (*project["dependencies"], *of("demo")) if not line.startswith("gradio")]


def write_space(out: Path, *, title: str) -> None:
    """Write the folder anew; one that holds something else is left alone."""
    if out.exists() and any(out.iterdir()) and not (out / "app.py").is_file():
        raise SystemExit(f"{out} holds something else than a Space: choose another folder")
    without = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name, place in (("translate", "translate"), ("demos", "translate/demos"), ("weights", "translate/weights")):
        target = out / place
        if place == "translate":
            shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(ROOT / name, target, ignore=without)
    (out / "app.py").write_text(APP, encoding="utf-8")
    (out / "requirements.txt").write_text("\n".join(requirements()) + "\n", encoding="utf-8")
    card = CARD.format(title=title, gradio=importlib.metadata.version("gradio"))
    (out / "README.md").write_text(card, encoding="utf-8")
    (out / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n", encoding="utf-8")


def check(out: Path, *, seconds: float = 120.0) -> None:
    """Start the app from the folder alone, and wait for its page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PORT": str(port)}
    environment.pop("PYTHONPATH", None)
    with subprocess.Popen([sys.executable, "app.py"], cwd=out, env=environment) as process:
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and process.poll() is None:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=5) as answer:
                        assert answer.status == 200
                        return
                except OSError:
                    time.sleep(0.5)
            raise SystemExit(f"{out / 'app.py'} has not shown its page within {seconds:.0f} seconds")
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--title", default="translate")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    write_space(given.out, title=given.title)
    size = sum(path.stat().st_size for path in given.out.rglob("*") if path.is_file()) / 1e6
    print(f"{given.out}: {size:.0f} MB; push it to a Space of the Gradio kind")
    if given.check:
        check(given.out)
        print("its page came up, from the folder alone")


if __name__ == "__main__":
    main()

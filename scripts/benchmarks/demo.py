"""The demo under load, and with whatever somebody may bring; over the loopback, with the weights that ship.

load       Ten users at once, twenty images each, one after the other: how long each waits, whether any is lost, and how
           much memory the server takes.
uploads    Every file of a folder is given to the Translate tab: what it answers, in a line each.
first      How long from the start of `scripts/demo.py` to the page in a browser (headless Chromium by playwright), to
           the first picture, and from there to the next one.

    python -m scripts.benchmarks.demo load [--clients 10] [--requests 20] [--size 256]
    python -m scripts.benchmarks.demo first [--rounds 3]
    python -m scripts.benchmarks.demo uploads FOLDER
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from translate.demos.facade_drawings import STYLES

SOME_SENTENCE = 12  # characters, which a clear answer has at least


MODULE = ("-m", "translate", "demo")
SCRIPT = (str(Path(__file__).parents[1] / "demo.py"),)


@contextmanager
def serving(what: tuple[str, ...] = MODULE) -> Iterator[tuple[str, int]]:
    """A demo in a process of its own: its address and its number."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, *what, "--no-browser", "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as server,
    ):
        assert server.stdout is not None
        for line in server.stdout:
            if b"Demo running at" in line:
                break
        threading.Thread(target=server.stdout.read, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            server.terminate()


def memory(pid: int) -> tuple[float, float]:
    """Megabytes that a process has now, and had at most (Linux; elsewhere nan)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan"), float("nan")
    values = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return float(values["VmRSS"]) / 1024, float(values["VmHWM"]) / 1024


def load(given: argparse.Namespace) -> int:
    waits: list[float] = []
    lost: list[str] = []
    with serving() as (url, pid), tempfile.TemporaryDirectory() as folder:
        pixels = np.random.default_rng(0).integers(0, 256, (given.size // 8, given.size // 8, 3), dtype=np.uint8)
        path = Path(folder) / "image.png"
        Image.fromarray(pixels).resize((given.size, given.size), Image.Resampling.BICUBIC).save(path)
        first = Client(url, verbose=False, download_files=False)
        first.predict(handle_file(path), "facades", False, api_name="/translate")
        before, _ = memory(pid)

        def user(number: int) -> None:
            client = Client(url, verbose=False, download_files=False)
            for _ in range(given.requests):
                started = time.perf_counter()
                try:
                    client.predict(handle_file(path), "facades", False, api_name="/translate")
                    waits.append(time.perf_counter() - started)
                except Exception as error:
                    lost.append(f"user {number}: {error}")

        started = time.perf_counter()
        with ThreadPoolExecutor(given.clients) as pool:
            list(pool.map(user, range(given.clients)))
        seconds = time.perf_counter() - started
        after, peak = memory(pid)
    print(f"{given.clients} users, {given.requests} images of {given.size} px each, in {seconds:.0f} s")
    if waits:
        p95 = quantiles(waits, n=20)[-1] if len(waits) > 1 else waits[0]
        print(f"waited: median {median(waits):.2f} s, p95 {p95:.2f} s, longest {max(waits):.2f} s")
    print(f"memory: {before:.0f} MB after one image, {after:.0f} MB in the end, {peak:.0f} MB at most")
    print(f"lost: {len(lost)}", *lost[:5], sep="\n  ")
    return 1 if lost else 0


def uploads(given: argparse.Namespace) -> int:
    files = sorted(path for path in given.folder.rglob("*") if path.is_file())
    unclear: list[Path] = []
    kinds: Counter[str] = Counter()
    with serving() as (url, _):
        client = Client(url, verbose=False, download_files=False)
        for path in files:
            try:
                answer = client.predict(handle_file(path), given.weights, False, api_name="/translate")[1]
                kinds["translated"] += 1
            except Exception as error:
                answer = " ".join(str(error).split())
                kinds["refused"] += 1
                if len(answer) < SOME_SENTENCE or "Traceback" in answer or "Error'" in answer:
                    unclear.append(path)
            print(f"{path.relative_to(given.folder)}: {answer}"[:160])
    print(", ".join(f"{count} {kind}" for kind, count in kinds.items()) + f"; {len(unclear)} without a clear answer")
    return 1 if unclear else 0


def first(given: argparse.Namespace) -> int:
    from playwright.sync_api import sync_playwright

    styles = [style.name for style in STYLES]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]) as browser,
    ):
        for _ in range(given.rounds):
            began = time.perf_counter()
            with serving(SCRIPT) as (url, _):
                served = time.perf_counter() - began
                page = browser.new_page()
                page.goto(url)
                page.get_by_role("button", name=f"Example: {styles[0]}", exact=True).wait_for()
                shown = time.perf_counter() - began
                times, last = [], ""
                for style in styles[:2]:
                    clicked = time.perf_counter()
                    page.get_by_role("button", name=f"Example: {style}", exact=True).click()
                    page.wait_for_function(
                        """last => {
                          const images = [...document.querySelectorAll("#result img")];
                          return images.length === 2 && images.every((one) => one.complete && one.naturalWidth > 0
                                                                              && one.src !== last);
                        }""",
                        arg=last,
                    )
                    times.append(time.perf_counter() - clicked)
                    last = page.locator("#result img").last.get_attribute("src")
                    page.wait_for_timeout(500)
                picture = shown + times[0]
                page.close()
            print(f"served {served:.1f} s, page {shown:.1f} s, first picture {picture:.1f} s, next {times[1]:.2f} s")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("load")
    one.add_argument("--clients", type=int, default=10)
    one.add_argument("--requests", type=int, default=20)
    one.add_argument("--size", type=int, default=256)
    one.set_defaults(run=load)
    two = commands.add_parser("uploads")
    two.add_argument("folder", type=Path)
    two.add_argument("--weights", default="colour-photos")
    two.set_defaults(run=uploads)
    three = commands.add_parser("first")
    three.add_argument("--rounds", type=int, default=3)
    three.set_defaults(run=first)
    given = parser.parse_args()
    return given.run(given)


if __name__ == "__main__":
    sys.exit(main())

"""The environment behind `scripts/demo.py` and `scripts/test.py`: made once, checked by a stamp, reused in seconds.

Standard library only. The syntax of this file and of the two scripts is that of Python 3.6, so that an old Python can
still read as far as the message that says it is too old. State, all inside the environment's own folder:

- `environment.json`, the stamp: `{}` while an installation is under way, what was installed once it is complete.
  It is written last, so that an interrupted installation is never taken for a complete one.
- `environment.lock`, locked through the operating system while one process sets up; it is freed even by `kill -9`.
- `install.log`, everything pip said in the last installation.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterable
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def paragraph(text: str) -> str:
    """`text` wrapped for a terminal of 80 columns; indented lines (things to type) are left as they are."""
    lines = text.strip().splitlines()
    wrapped = (line if line.startswith("  ") else textwrap.fill(line, 79, break_on_hyphens=False) for line in lines)
    return "\n".join(wrapped)


def refuse_old_python(version: tuple, executable: str) -> None:
    """Leave with a message if `version` is older than the project supports."""
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return
    found = ".".join(str(number) for number in version[:3])
    raise SystemExit(
        paragraph(
            f"This is Python {found} ({executable}), and translate needs Python 3.11 or newer. Install one and start "
            "again with it:\n"
            "  Debian, Ubuntu   sudo apt install python3 python3-venv\n"
            "  macOS            brew install python@3.13\n"
            "  Windows          winget install Python.Python.3.13\n"
            "  any              https://www.python.org/downloads/\n"
            "  then             python3.13 scripts/demo.py\n"
            "                   (Windows: py -3.13 scripts\\demo.py)"
        )
    )


# Called here, and not by the scripts, because the annotations below are already more than an old Python can evaluate.
refuse_old_python(sys.version_info, sys.executable)

ROOT = Path(__file__).resolve().parent.parent
STAMP, LOCK, LOG = "environment.json", "environment.lock", "install.log"
GB = 1e9


# What there is, and what is to be done about it


def environment_folder() -> Path:
    """`.venv` in the repository root, or the folder that `TRANSLATE_VENV` names."""
    chosen = os.environ.get("TRANSLATE_VENV")
    return Path(os.path.abspath(os.path.expanduser(chosen))) if chosen else ROOT / ".venv"


def interpreter(folder: Path, os_name: str = os.name) -> Path:
    """The path of the Python inside the environment `folder`."""
    return folder / "Scripts" / "python.exe" if os_name == "nt" else folder / "bin" / "python"


def query(python: Path, code: str) -> str | None:
    """What `python` prints for `code`, or None if it does not run (moved, half-made, module missing)."""
    try:
        answer = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def python_version(python: Path) -> str | None:
    """ "major.minor" of `python`, or None if it does not run."""
    return query(python, "import sys; print('%d.%d' % sys.version_info[:2])")


def read_stamp(folder: Path) -> dict | None:
    """None: no stamp (not made by these scripts); empty: an installation was cut off; else what is installed."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return stamp if isinstance(stamp, dict) and {"extras", "project", "python", "root"} <= stamp.keys() else {}


def write_stamp(folder: Path, stamp: dict) -> None:
    beside = folder / (STAMP + ".new")
    beside.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, folder / STAMP)


def new_stamp(extras: list[str], python: str | None) -> dict:
    """What a complete installation of `extras` from the present project records; `python` is "major.minor"."""
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    # An editable install points at the folder of the project: a moved project has to be installed again.
    return {"extras": sorted(extras), "project": project, "python": python, "root": str(ROOT)}


def decide(stamp: dict | None, extras: list[str], python: str | None) -> tuple[str, list[str]]:
    """What to do so that `extras` are installed: "reuse", "install" or "create", and the extras that there will be.

    Args:
        stamp: as `read_stamp` gives it.
        extras: extras that this start needs.
        python: "major.minor" of the environment's Python, None if it does not run.
    """
    union = sorted(set(extras) | set((stamp or {}).get("extras", [])))
    if python is None or stamp == {} or (stamp and stamp["python"] != python):
        return "create", union
    return ("reuse" if stamp == new_stamp(union, python) else "install"), union


# What it needs


def estimate(system: str, machine: str, indexes: str) -> tuple[float, float]:
    """Bytes to download and on disk for a new environment. PyTorch's usual build for Linux brings CUDA with it."""
    with_cuda = system == "Linux" and machine == "x86_64" and not re.search(r"/cpu\b", indexes)
    return (3.0 * GB, 7.0 * GB) if with_cuda else (0.5 * GB, 1.5 * GB)


def existing_parent(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_disk(folder: Path, download: float, installed: float) -> None:
    """Leave with a message if `folder` cannot hold `installed` bytes or the temporary folder `download` bytes."""
    places = [(folder, installed, "TRANSLATE_VENV")]
    temporary = Path(tempfile.gettempdir())
    if os.stat(temporary).st_dev != os.stat(existing_parent(folder)).st_dev:
        places.append((temporary, download, "TEMP" if os.name == "nt" else "TMPDIR"))
    for place, needed, variable in places:
        free = shutil.disk_usage(existing_parent(place)).free
        if free < needed:
            cpu_build = (
                " Without an NVIDIA GPU, PyTorch's CPU build is much smaller: set PIP_EXTRA_INDEX_URL to the address "
                "that pytorch.org shows under Get Started for CPU."
                if installed > 5 * GB
                else ""
            )
            raise SystemExit(
                paragraph(
                    f"The disk is too full: {place} has {free / GB:.1f} GB free, and the installation needs about "
                    f"{needed / GB:.1f} GB there. Free some space, or set the environment variable {variable} to a "
                    f"folder on a larger disk, and start again.{cpu_build}"
                )
            )


def check_venv_module() -> None:
    """Leave with a message if this Python cannot make environments (Debian splits that off)."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise SystemExit(
        paragraph(
            f"This Python ({sys.executable}) came without its venv module, which makes the environment that translate "
            "is installed in. On Debian and Ubuntu it is a package of its own; install it and start again:\n"
            f"  sudo apt install python3-venv      (or python{version}-venv)"
        )
    )


@contextlib.contextmanager
def locked(path: Path):  # type: ignore[no-untyped-def]
    """Hold the lock file `path`, or leave with a message if another process holds it. Yields its descriptor."""
    with open(path, "a") as file:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise SystemExit(
                paragraph(
                    f"Another start is setting up {path.parent} at this moment. Let it finish, then start again; "
                    "or set TRANSLATE_VENV to another folder to have an environment apart."
                )
            ) from None
        yield file.fileno()


# Progress


def describe(line: str) -> str | None:
    """What a line of pip's output means for the person who waits, or None if it says nothing new."""
    line = line.strip()
    wheel = re.match(r"(Downloading|Using cached) (?:\S*/)?([A-Za-z0-9_.]+)-\S+ \(([\d.]+ [MG]B)\)$", line)
    if wheel:
        return f"{wheel[1]} {wheel[2]} ({wheel[3]})"
    if line.startswith("Collecting "):
        return "Looking up " + re.split(r"[^A-Za-z0-9_.-]", line[len("Collecting ") :])[0]
    if line.startswith("Installing collected packages: "):
        return f"Unpacking {line.count(',') + 1} packages"
    if line.startswith("Installing build dependencies: started"):
        return "Preparing the project"
    if "Retrying (Retry(" in line:
        return "The package registry does not answer, trying again"
    return None


class Progress:
    """One updating line on a terminal; elsewhere a line for each step, and one a minute while a step lasts."""

    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal
        self.start = time.monotonic()
        self.step = "Starting pip"
        self.part = ""
        self.printed = self.start

    def elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        return f"{minutes}:{seconds:02d}"

    def read(self, line: str) -> None:
        """Take in one line of pip's output."""
        download = re.match(r"Progress (\d+) of (\d+)", line)
        if download and int(download[2]):
            self.part = f" {100 * int(download[1]) // int(download[2])}%"
        step = describe(line)
        if step and step != self.step:
            self.step, self.part = step, ""
            # Look-ups come by the dozen: on a terminal they pass by, in a log they would only fill it.
            if not self.terminal and not step.startswith("Looking up"):
                self.print()

    def tick(self) -> None:
        if self.terminal:
            width = min(shutil.get_terminal_size().columns, 80) - 1
            end = f"{self.part} ... {self.elapsed()}"
            print("\r" + ("  " + self.step[: width - len(end) - 2] + end).ljust(width), end="", flush=True)
        elif time.monotonic() - self.printed > 60:
            self.print()

    def print(self) -> None:
        self.printed = time.monotonic()
        print(f"  {self.elapsed():>5}  {self.step}{self.part}", flush=True)

    def close(self) -> None:
        if self.terminal:
            width = min(shutil.get_terminal_size().columns, 80) - 1
            print("\r" + " " * width + "\r", end="", flush=True)


# Installing

DISK_FULL = re.compile(r"No space left on device|Errno 28\b|not enough space on the disk|Disk quota exceeded", re.I)
NO_ANSWER = re.compile(
    r"Retrying \(Retry\(|Max retries exceeded|urllib3\.exceptions|ConnectionError|ConnectTimeout|ReadTimeout|"
    r"ProxyError|SSLError|CERTIFICATE_VERIFY_FAILED|name resolution|Name or service not known|getaddrinfo failed|"
    r"Connection (?:refused|reset|aborted)|IncompleteRead",
    re.I,
)
ANSWERED_NO = re.compile(r"\b(?:4\d\d Client|5\d\d Server) Error[^\n]*|ResponseError\('too many 5\d\d[^']*", re.I)
NO_BUILD = re.compile(r"ERROR: No matching distribution found for ([^\n]+)")


def failure(output: str, log: Path) -> tuple[str, str]:
    """Why pip failed: "disk", "registry", "build" or "other", and the message that says so and what to do."""
    lines = output.strip().splitlines()
    # A retry that succeeded stands far up in the output; what made pip give up stands at its end.
    end = "\n".join(lines[-60:])
    mend = (
        "Check the internet connection; behind a proxy set HTTPS_PROXY; where a mirror is used set PIP_INDEX_URL to "
        f"its address. Then start again: what was downloaded is kept. pip's own words are in {log}"
    )
    if DISK_FULL.search(end):
        kind = "disk"
        text = (
            "The disk filled up during the installation. Free some space (`pip cache purge` may help), or set "
            "TRANSLATE_VENV, and TMPDIR (TEMP on Windows) for the downloads, to folders on a larger disk, and start "
            f"again. pip's own words are in {log}"
        )
    elif ANSWERED_NO.search(end):
        kind = "registry"
        text = f"The package registry refused: {ANSWERED_NO.search(end)[0].strip()}. {mend}"  # type: ignore[index]
    elif NO_ANSWER.search(end):
        kind = "registry"
        text = f"The package registry does not answer. {mend}"
    elif NO_BUILD.search(end):
        kind = "build"
        text = (
            f"The package registry has no {NO_BUILD.search(end)[1].strip()} "  # type: ignore[index]
            f"for Python {platform.python_version()} on {platform.system()} {platform.machine()}. PyTorch is not built "
            "for a Python that is very new or of 32 bits, nor for a Mac with an Intel processor: start again with "
            "another Python (3.11 to 3.13, 64 bits). If PIP_INDEX_URL names a mirror, see whether it is complete. "
            f"pip's own words are in {log}"
        )
    else:
        kind = "other"
        last = "\n".join("  " + line[:117] for line in lines[-15:])
        text = f"pip could not install translate. These are its last lines; all of them are in {log}\n{last}"
    return kind, paragraph(text)


@contextlib.contextmanager
def started(command: list[str], lock: int):  # type: ignore[no-untyped-def]
    """A process with its output in one pipe, ended together with all that it started if the block is left early."""
    # The process holds the lock too: were only this one killed, a second start must not write beside the first's pip.
    posix = {} if os.name == "nt" else {"pass_fds": (lock,), "start_new_session": True}
    process = subprocess.Popen(
        command,
        cwd=str(ROOT),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8"),
        encoding="utf-8",
        errors="replace",
        **posix,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            if os.name == "nt":
                process.terminate()
            else:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def run_pip(python: Path, extras: list[str], log: Path, lock: int) -> tuple[int, str]:
    """Install the project with `extras`, show progress, and return pip's exit code and output."""
    version = query(python, "import pip; print(pip.__version__)")
    if version is None:  # an environment made by another tool, without pip
        subprocess.run([str(python), "-m", "ensurepip"], stdout=subprocess.DEVNULL)
    can_count = version is not None and tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= (24, 1)
    command = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--no-color"]
    command += ["--progress-bar", "raw" if can_count else "off", "-e", ".[" + ",".join(extras) + "]"]
    heard: queue.Queue[str | None] = queue.Queue()

    def listen(pipe: Iterable[str]) -> None:
        for line in pipe:
            heard.put(line)
        heard.put(None)

    progress, output = Progress(sys.stdout.isatty()), []
    opened = open(log, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 (closed by the next line)
    with started(command, lock) as process, contextlib.closing(progress), opened as file:
        threading.Thread(target=listen, args=(process.stdout,), daemon=True).start()
        while True:
            try:
                line = heard.get(timeout=0.5)
            except queue.Empty:
                progress.tick()
                continue
            if line is None:
                break
            progress.read(line)
            progress.tick()
            if not line.startswith("Progress "):
                output.append(line)
                with contextlib.suppress(OSError):  # a full disk must not hide what pip has to say about it
                    file.write(line)
        return process.wait(), "".join(output)


def create(folder: Path, lock: int) -> None:
    """Make an empty environment in `folder`, in place of what is there."""
    check_venv_module()
    if Path(sys.prefix).resolve() == folder.resolve():
        raise SystemExit(
            paragraph(
                f"{folder} has to be made anew, and this Python lives in it. Type `deactivate`, or open another "
                "terminal, and start again with the Python of the system."
            )
        )
    for child in folder.iterdir():
        if child.name in (STAMP, LOCK):
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    with started([sys.executable, "-m", "venv", str(folder)], lock) as process:
        output = process.communicate()[0]
    if process.returncode:
        with contextlib.suppress(OSError):
            (folder / LOG).write_text(output, encoding="utf-8")
        raise SystemExit(failure(output, folder / LOG)[1])


def set_up(folder: Path, extras: list[str], lock: int) -> None:
    """Bring the environment in `folder` to where `extras` are installed."""
    python = interpreter(folder)
    version = python_version(python)
    before = read_stamp(folder)
    action, union = decide(before, extras, version)
    if action == "reuse":
        return
    is_new = before is None and version is None
    if is_new and not (folder / "pyvenv.cfg").exists() and any(child.name != LOCK for child in folder.iterdir()):
        raise SystemExit(
            paragraph(
                f"{folder} is a folder with other things in it, and not a Python environment: nothing was touched. "
                "Name an empty or a new folder in TRANSLATE_VENV."
            )
        )
    indexes = os.environ.get("PIP_INDEX_URL", "") + " " + os.environ.get("PIP_EXTRA_INDEX_URL", "")
    download, installed = estimate(platform.system(), platform.machine(), indexes)
    if action == "create":
        reason = "Setting up" if is_new else "The environment is broken or was not finished. Making it anew in"
        print(
            paragraph(
                f"{reason} {folder}: PyTorch and other packages are downloaded (about {download / GB:.1f} GB) and "
                f"installed (about {installed / GB:.1f} GB on disk). Later starts take seconds."
            )
        )
    else:
        if query(python, "import importlib.metadata as m; m.version('torch')") is not None:
            download, installed = 0.2 * GB, 0.6 * GB
        print(paragraph(f"Bringing {folder} up to date with [{', '.join(union)}]: what is missing is downloaded."))
    sys.stdout.flush()
    check_disk(folder, download, installed)

    start = time.monotonic()
    write_stamp(folder, {})
    if action == "create":
        create(folder, lock)
        version = python_version(python)
    code, output = run_pip(python, union, folder / LOG, lock)
    if code:
        kind, message = failure(output, folder / LOG)
        if kind in ("registry", "build"):
            # pip gives up on these before it changes anything: the environment is still what it was.
            if action == "install" and before:
                write_stamp(folder, before)
            else:
                (folder / STAMP).unlink()
        raise SystemExit(message)
    write_stamp(folder, new_stamp(union, version))
    minutes, seconds = divmod(int(time.monotonic() - start), 60)
    print(f"Installed in {minutes} min {seconds} s.", flush=True)


def prepare(*extras: str) -> Path:
    """Make sure that the project and `extras` are installed, and return the environment's Python."""
    folder = environment_folder()
    python = interpreter(folder)
    stamp = read_stamp(folder) if folder.is_dir() else None
    if stamp and decide(stamp, list(extras), python_version(python))[0] == "reuse":
        return python
    # A terminated start leaves through the `finally` that ends pip as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / LOCK) as lock:
            set_up(folder, list(extras), lock)
    except KeyboardInterrupt:
        raise SystemExit("\nStopped. The next start sets the environment up again; downloads are kept.") from None
    except OSError as error:
        if DISK_FULL.search(str(error)):
            raise SystemExit(failure(str(error), folder / LOG)[1]) from None
        raise SystemExit(
            paragraph(
                f"The environment {folder} cannot be made: {error}. See whether the folder can be written and the disk "
                "has space, or set TRANSLATE_VENV to another folder."
            )
        ) from None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return python


def hand_over(command: list[str], environment: dict[str, str] | None = None) -> int:
    """Run `command` in place of this process (Windows: beneath it), so that Ctrl-C and exit codes are its own."""
    full = dict(os.environ, **(environment or {}))
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, full)
    process = subprocess.Popen(command, env=full)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the command is the one to answer it
    return process.wait()

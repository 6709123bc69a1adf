"""The environment behind `scripts/demo.py` and `scripts/test.py`: made once, checked by a stamp, reused in seconds.

Standard library only. The syntax of this file and of the two scripts is that of Python 3.6, so that an old Python can
still read as far as the message that says it is too old. State, all inside the environment's own folder:

- `environment.json`, the stamp: `{}` while an installation is under way, what was installed once it is complete.
  It is written last, so that an interrupted installation is never taken for a complete one.
- `environment.lock`, locked through the operating system while one process sets up; it is freed even by `kill -9`.
- `install.log`, everything pip said in the last installation.

Where `uv` is on the path, it makes and fills the environment, faster than pip. What it cannot do, pip is asked for: uv
reads neither pip's configuration files nor all that they may hold.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def paragraph(text: str) -> str:
    """`text` wrapped for a terminal of 80 columns; indented lines (things to type) are left as they are."""
    lines = text.strip().splitlines()
    wrapped = (
        line if line.startswith("  ") else textwrap.fill(line, 79, break_on_hyphens=False, break_long_words=False)
        for line in lines
    )
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


def needed(system: str, machine: str, indexes: str) -> float:
    """Bytes on disk of a new environment. PyTorch's usual build for Linux brings CUDA with it."""
    cpu_build = any(index.rstrip("/").endswith("/cpu") for index in indexes.split())
    with_cuda = system == "Linux" and machine == "x86_64" and not cpu_build
    return 7.0 * GB if with_cuda else 1.5 * GB


def check_disk(folder: Path, size: float) -> None:
    """Leave with a message if there is no space of `size` bytes for `folder`."""
    free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
    if free >= size:
        return
    smaller = (
        " Without an NVIDIA GPU, PyTorch's CPU build is much smaller: set PIP_EXTRA_INDEX_URL to the address that "
        "pytorch.org shows under Get Started for CPU."
    )
    raise SystemExit(
        paragraph(
            f"The disk is too full: {folder} has {free / GB:.1f} GB free, and the installation needs about "
            f"{size / GB:.1f} GB there. Free some space, or set the environment variable TRANSLATE_VENV to a folder on "
            f"a larger disk, and start again.{smaller if size > 5 * GB else ''}"
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


# Installing


def run(command: list[str], lock: int, environment: dict[str, str] | None = None) -> int:
    """Run `command` in this terminal and return its exit code; it ends when this process has to."""
    # The process holds the lock too: were only this one killed, a second start must not write beside the first's pip.
    inherited = {} if os.name == "nt" else {"pass_fds": (lock,)}
    try:
        process = subprocess.Popen(command, cwd=str(ROOT), env=dict(os.environ, **(environment or {})), **inherited)  # type: ignore[call-overload]
    except OSError:
        return 127
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def uv_environment(given: dict[str, str]) -> dict[str, str]:
    """What pip's environment variables in `given` say of registries, in uv's words."""
    names = {
        "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
        "PIP_EXTRA_INDEX_URL": "UV_INDEX",
        "PIP_FIND_LINKS": "UV_FIND_LINKS",
        "PIP_CONSTRAINT": "UV_CONSTRAINT",
    }
    found = {own: given[name] for name, own in names.items() if given.get(name) and own not in given}
    if "UV_INDEX" in found:  # as pip does: the newest of all registries, and not all versions of the first that has any
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return found


def clear(folder: Path) -> None:
    """Remove what is in `folder`, but for the stamp and the lock."""
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


def create(folder: Path, lock: int) -> None:
    """Make an empty environment in `folder`, in place of what is there."""
    clear(folder)
    uv = shutil.which("uv")
    if uv and run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], lock) == 0:
        return
    check_venv_module()
    if run([sys.executable, "-m", "venv", str(folder)], lock):
        raise SystemExit(paragraph(f"No environment could be made in {folder}: see what Python says above."))


def install(folder: Path, extras: list[str], lock: int, quiet: bool) -> bool:
    """Install the project with `extras`. False where pip gave up before it changed anything.

    Leaves with a message, and without a stamp, where it gave up in the middle.
    """
    python, project = str(interpreter(folder)), ".[" + ",".join(extras) + "]"
    uv = shutil.which("uv")
    if uv:
        fast = [uv, "pip", "install", "--python", python, "-e", project]
        if run(fast, lock, uv_environment(dict(os.environ))) == 0:
            return True
        print("uv could not install it; trying pip.", flush=True)
    if query(interpreter(folder), "import pip") is None:  # an environment made by another tool, without pip
        run([python, "-m", "ensurepip"], lock)
    log = folder / LOG
    log.unlink(missing_ok=True)
    command = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--log", str(log)]
    if run([*command, *(["--quiet"] if quiet else []), "-e", project], lock) == 0:
        return True
    if log.exists() and "Installing collected packages" in log.read_text(encoding="utf-8", errors="replace"):
        raise SystemExit(failure(log))
    return False


def failure(log: Path) -> str:
    """What to do when pip failed, whose own words stand above."""
    return paragraph(
        f"translate could not be installed: see what pip says above; all of its words are in {log}. Most often it is\n"
        "  the connection    behind a proxy set HTTPS_PROXY, for a mirror PIP_INDEX_URL\n"
        "  a full disk       TRANSLATE_VENV and TMPDIR (Windows: TEMP) name folders\n"
        "                    on a larger one\n"
        "  the Python        PyTorch is built for 3.11 to 3.13 of 64 bits, and not for\n"
        "                    Macs with an Intel processor\n"
        "Then start again: what was downloaded is kept."
    )


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
    if action == "create":
        indexes = os.environ.get("PIP_INDEX_URL", "") + " " + os.environ.get("PIP_EXTRA_INDEX_URL", "")
        size = needed(platform.system(), platform.machine(), indexes)
        reason = "Setting up" if is_new else "The environment is broken or was not finished. Making it anew in"
        print(
            paragraph(
                f"{reason} {folder}: PyTorch and other packages are downloaded and installed (about {size / GB:.1f} GB "
                "on disk). Later starts take seconds."
            ),
            flush=True,
        )
        check_disk(folder, size)
    else:
        print(paragraph(f"Bringing {folder} up to date with [{', '.join(union)}]."), flush=True)

    start = time.monotonic()
    write_stamp(folder, {})
    if action == "create":
        create(folder, lock)
        version = python_version(python)
    if not install(folder, union, lock, quiet=action == "install"):
        if action == "install" and before:  # it is still what it was
            write_stamp(folder, before)
        else:
            (folder / STAMP).unlink()
        raise SystemExit(failure(folder / LOG))
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

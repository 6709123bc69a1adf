"""The decisions of the bootstrap behind `scripts/demo.py` and `scripts/test.py`; nothing is installed here."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# By its path: with scripts/ on sys.path, `test` would be scripts/test.py and no longer the standard library's.
spec = importlib.util.spec_from_file_location("_environment", SCRIPTS / "_environment.py")
assert spec is not None
assert spec.loader is not None
env = importlib.util.module_from_spec(spec)
spec.loader.exec_module(env)

Usage = namedtuple("Usage", "total used free")


def run_script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.parametrize("name", ["_environment.py", "demo.py", "test.py"])
def test_scripts_are_read_by_python_3_6(name: str) -> None:
    tree = ast.parse((SCRIPTS / name).read_text(encoding="utf-8"), feature_version=(3, 6))
    futures = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert futures == []  # `annotations` is of 3.7


def test_old_python_is_refused_before_anything_else_is_evaluated() -> None:
    source = (SCRIPTS / "_environment.py").read_text(encoding="utf-8")
    call = source.index("\nrefuse_old_python(sys.version_info")
    before = ast.parse(source[:call])
    annotations = {
        ast.unparse(argument.annotation)
        for node in ast.walk(before)
        if isinstance(node, ast.FunctionDef)
        for argument in node.args.args
        if argument.annotation
    }
    assert annotations == {"str", "tuple"}


def test_old_python_message() -> None:
    with pytest.raises(SystemExit) as stop:
        env.refuse_old_python((3, 8, 18, "final", 0), "/usr/bin/python3")
    message = str(stop.value)
    assert "This is Python 3.8.18 (/usr/bin/python3)" in message
    assert "3.11 or newer" in message.replace("\n", " ")
    assert "python3.13 scripts/demo.py" in message
    assert max(map(len, message.splitlines())) < 80
    env.refuse_old_python((3, 11, 0, "final", 0), "python")
    env.refuse_old_python((4, 0, 0, "final", 0), "python")


@pytest.mark.parametrize("name", ["demo.py", "test.py"])
def test_help_answers_without_installing(tmp_path: Path, name: str) -> None:
    done = run_script(name, "--help", TRANSLATE_VENV=str(tmp_path / "venv"))
    assert done.returncode == 0
    assert f"python scripts/{name}" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_interpreter_path() -> None:
    assert env.interpreter(PureWindowsPath("C:/p/.venv"), "nt") == PureWindowsPath("C:/p/.venv/Scripts/python.exe")
    assert env.interpreter(PurePosixPath("/p/.venv"), "posix") == PurePosixPath("/p/.venv/bin/python")


def test_environment_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TRANSLATE_VENV", raising=False)
    assert env.environment_folder() == SCRIPTS.parent / ".venv"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRANSLATE_VENV", "other")
    assert env.environment_folder() == tmp_path / "other"


def test_stamp_round_trip(tmp_path: Path) -> None:
    assert env.read_stamp(tmp_path) is None
    env.write_stamp(tmp_path, {})
    assert env.read_stamp(tmp_path) == {}
    stamp = env.new_stamp(["dev", "demo"], "3.11")
    env.write_stamp(tmp_path, stamp)
    assert env.read_stamp(tmp_path) == stamp
    assert stamp["extras"] == ["demo", "dev"]
    for torn in ('{"extras": ["de', '["demo"]', '{"extras": ["demo"]}'):
        (tmp_path / env.STAMP).write_text(torn)
        assert env.read_stamp(tmp_path) == {}


def test_stamp_follows_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(env, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    first = env.new_stamp(["demo"], "3.11")
    assert env.decide(first, ["demo"], "3.11") == ("reuse", ["demo"])
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert env.decide(first, ["demo"], "3.11") == ("install", ["demo"])


def test_decisions() -> None:
    demo, both = env.new_stamp(["demo"], "3.11"), env.new_stamp(["demo", "dev"], "3.11")
    assert env.decide(None, ["demo"], None) == ("create", ["demo"])  # nothing there
    assert env.decide(None, ["demo"], "3.12") == ("install", ["demo"])  # somebody's own environment
    assert env.decide({}, ["demo"], "3.11") == ("create", ["demo"])  # cut off
    assert env.decide(demo, ["demo"], "3.11") == ("reuse", ["demo"])
    assert env.decide(demo, ["demo", "dev"], "3.11") == ("install", ["demo", "dev"])  # test after demo
    assert env.decide(both, ["demo"], "3.11") == ("reuse", ["demo", "dev"])  # demo after test
    assert env.decide(both, ["demo"], "3.12") == ("create", ["demo", "dev"])  # Python replaced
    assert env.decide(both, ["demo"], None) == ("create", ["demo", "dev"])  # Python gone
    moved = {**both, "root": "/elsewhere"}
    assert env.decide(moved, ["demo"], "3.11") == ("install", ["demo", "dev"])


def test_python_version_of_broken_interpreters(tmp_path: Path) -> None:
    assert env.python_version(Path(sys.executable)) == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert env.python_version(tmp_path / "missing") is None
    (tmp_path / "python").write_text("no program")
    (tmp_path / "python").chmod(0o755)
    assert env.python_version(tmp_path / "python") is None


@pytest.mark.parametrize(
    ("system", "machine", "indexes", "installed"),
    [
        ("Linux", "x86_64", " ", 7.0),
        ("Linux", "x86_64", " https://example.org/whl/cpu", 1.5),
        ("Linux", "x86_64", "https://cpubuild.example.org/simple ", 7.0),
        ("Darwin", "arm64", " ", 1.5),
        ("Windows", "AMD64", " ", 1.5),
    ],
)
def test_estimate(system: str, machine: str, indexes: str, installed: float) -> None:
    assert env.estimate(system, machine, indexes)[1] == installed * 1e9


def test_disk_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10e9, 8e9, 2e9))
    folder = tmp_path / "not" / "yet" / ".venv"
    env.check_disk(folder, 0.5e9, 1.5e9)
    with pytest.raises(SystemExit, match=r"2\.0\s+GB\s+free") as stop:
        env.check_disk(folder, 3e9, 7e9)
    message = " ".join(str(stop.value).split())
    assert str(folder) in message
    assert "7.0 GB" in message
    assert "TRANSLATE_VENV" in message
    assert "CPU build" in message


OFFLINE = """\
WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError(...)': /simple/torch/
ERROR: Could not find a version that satisfies the requirement torch>=2.11 (from versions: none)
ERROR: No matching distribution found for torch>=2.11
"""
FORBIDDEN = "ERROR: HTTP error 403 while getting x\nERROR: 403 Client Error: Forbidden for url: https://example.org/x\n"
NO_WHEEL = """\
ERROR: Could not find a version that satisfies the requirement torch>=2.11 (from versions: 2.1.0, 2.2.2)
ERROR: No matching distribution found for torch>=2.11
"""
FULL = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device: '/x/libtorch.so'\n"
FULL_WINDOWS = (
    "ERROR: Could not install packages due to an OSError: [WinError 112] There is not enough space on the disk\n"
)
TIMEOUT = "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='x', port=443): Read timed out.\n"
RETRIED = "WARNING: Retrying (Retry(total=4)) after connection broken\n" + "Collecting numpy\n" * 80 + "ERROR: boom\n"


@pytest.mark.parametrize(
    ("output", "kind", "said"),
    [
        (OFFLINE, "registry", "does not answer. Check the internet connection"),
        (TIMEOUT, "registry", "PIP_INDEX_URL"),
        (FORBIDDEN, "registry", "refused: 403 Client Error: Forbidden for url: https://example.org/x"),
        ("ERROR: 503 Server Error: Service Unavailable for url: x", "registry", "refused: 503 Server Error"),
        (NO_WHEEL, "build", "has no torch>=2.11 for Python 3."),
        (FULL, "disk", "The disk filled up"),
        (FULL_WINDOWS, "disk", "The disk filled up"),
        (OFFLINE + FULL, "disk", "The disk filled up"),
        (RETRIED, "other", "ERROR: boom"),
        ("ERROR: could not build wheels for x\n", "other", "ERROR: could not build wheels for x"),
    ],
)
def test_failure_messages(output: str, kind: str, said: str) -> None:
    found, message = env.failure(output, Path("/p/.venv/install.log"))
    assert found == kind
    assert said in re.sub(r"\s+", " ", message)
    assert "/p/.venv/install.log" in message


def test_other_failures_show_the_last_fifteen_lines() -> None:
    output = "".join(f"line {number}\n" for number in range(40))
    message = env.failure(output, Path("log"))[1]
    assert message.splitlines()[-16:] == ["log"] + [f"  line {number}" for number in range(25, 40)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Collecting torch>=2.11 (from image-translate==0.1.0)", "Looking up torch"),
        ("Collecting image-translate[demo]", "Looking up image-translate"),
        ("Downloading torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl (890.1 MB)", "Downloading torch (890.1 MB)"),
        (
            "  Downloading https://e.org/w/nvidia_cudnn-9.1-py3-none-any.whl (1.2 GB)",
            "Downloading nvidia_cudnn (1.2 GB)",
        ),
        ("Using cached numpy-2.0.0-cp311-cp311-win_amd64.whl (18.0 MB)", "Using cached numpy (18.0 MB)"),
        ("Downloading idna-3.10-py3-none-any.whl (70 kB)", None),
        ("Downloading torch-2.14.1-cp311-cp311-win_amd64.whl.metadata (29 kB)", None),
        ("Installing collected packages: mpmath, sympy, torch", "Unpacking 3 packages"),
        ("Requirement already satisfied: pip", None),
    ],
)
def test_what_pip_says_is_told(line: str, said: str | None) -> None:
    assert env.describe(line + "\n") == said


def test_progress_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    progress = env.Progress(terminal=False)
    for line in (
        "Collecting torch\n",
        "Downloading torch-2.14-x.whl (890.1 MB)\n",
        "Progress 1 of 2\n",
        "Collecting x\n",
    ):
        progress.read(line)
        progress.tick()
    progress.close()
    assert capsys.readouterr().out == "   0:00  Downloading torch (890.1 MB)\n"


def test_progress_on_a_terminal_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = env.Progress(terminal=True)
    progress.read(f"Downloading {'long' * 30}-2.14-x.whl (890.1 MB)\n")
    progress.read("Progress 300 of 400\n")
    progress.tick()
    progress.close()
    out = capsys.readouterr().out
    assert "\n" not in out
    assert max(map(len, out.split("\r"))) < 80
    assert "75% ... 0:00" in out


def test_lock_is_held_and_freed(tmp_path: Path) -> None:
    path = tmp_path / env.LOCK
    with env.locked(path), pytest.raises(SystemExit, match="Another start is setting up"), env.locked(path):
        pytest.fail("two held the lock at once")
    # A file left by a process that was killed holds nothing.
    assert path.exists()
    with env.locked(path):
        pass


def test_second_start_is_refused_while_one_sets_up(tmp_path: Path) -> None:
    with env.locked(tmp_path / env.LOCK):
        done = run_script("demo.py", "--install-only", TRANSLATE_VENV=str(tmp_path))
    assert done.returncode == 1
    assert "Another start is setting up" in done.stderr


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear reader")
    done = run_script("demo.py", "--install-only", TRANSLATE_VENV=str(tmp_path))
    assert done.returncode == 1
    assert "nothing was touched" in " ".join(done.stderr.split())
    assert (tmp_path / "letter.txt").read_text() == "dear reader"


@pytest.mark.skipif(shutil.which("true") is None, reason="needs the command `true`")
def test_clearing_keeps_lock_and_stamp_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    folder = tmp_path / "venv"
    (folder / "lib" / "deep").mkdir(parents=True)
    (folder / "link").symlink_to(outside, target_is_directory=True)
    env.write_stamp(folder, {})
    monkeypatch.setattr(sys, "executable", shutil.which("true"))  # in place of the Python that would fill the folder
    with env.locked(folder / env.LOCK) as lock:
        env.create(folder, lock)
    assert {path.name for path in folder.iterdir()} == {env.STAMP, env.LOCK}
    assert (outside / "kept").exists()


def test_missing_venv_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="sudo apt install python3-venv"):
        env.check_venv_module()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the script as the parent of the command")
def test_hand_over_passes_the_exit_code_and_environment_on() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from _environment import hand_over; print('first')\n"
        "hand_over([sys.executable, '-c', 'import os; print(os.environ[\"X\"]); raise SystemExit(7)'], {'X': 'then'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 7
    assert done.stdout.split() == ["first", "then"]

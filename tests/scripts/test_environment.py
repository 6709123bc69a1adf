"""The decisions of the bootstrap behind `scripts/demo.py` and `scripts/test.py`; nothing is installed here."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace

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
    ("system", "machine", "indexes", "size"),
    [
        ("Linux", "x86_64", " ", 7.0),
        ("Linux", "x86_64", " https://example.org/whl/cpu", 1.5),
        ("Linux", "x86_64", "https://cpubuild.example.org/simple ", 7.0),
        ("Darwin", "arm64", " ", 1.5),
        ("Windows", "AMD64", " ", 1.5),
    ],
)
def test_space_that_is_needed(system: str, machine: str, indexes: str, size: float) -> None:
    assert env.needed(system, machine, indexes) == size * 1e9


def test_disk_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10e9, 8e9, 2e9))
    folder = tmp_path / "not" / "yet" / ".venv"
    env.check_disk(folder, 1.5e9)
    with pytest.raises(SystemExit, match=r"2\.0\s+GB\s+free") as stop:
        env.check_disk(folder, 7e9)
    message = " ".join(str(stop.value).split())
    assert str(folder) in message
    assert "7.0 GB" in message
    assert "TRANSLATE_VENV" in message
    assert "CPU build" in message


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """An environment whose installers are stood in for: what was run, and what each of them is to do."""
    told = SimpleNamespace(ran=[], codes={}, log="", uv=None, folder=tmp_path)

    def run(command: list[str], lock: int, environment: dict[str, str] | None = None) -> int:
        kind = "uv" if command[0] == "uv" else " ".join(command[1:3])
        told.ran.append((kind, command, environment))
        if "--log" in command and told.log:
            Path(command[command.index("--log") + 1]).write_text(told.log)
        return told.codes.get(kind, 0)

    monkeypatch.setattr(env, "run", run)
    monkeypatch.setattr(env, "query", lambda python, code: "")
    monkeypatch.setattr(shutil, "which", lambda name: told.uv if name == "uv" else None)
    return told


def test_pip_installs_where_there_is_no_uv(installer: SimpleNamespace) -> None:
    assert env.install(installer.folder, ["demo", "dev"], 0, quiet=False)
    ((kind, command, _),) = installer.ran
    assert kind == "-m pip"
    assert command[-2:] == ["-e", ".[demo,dev]"]
    assert "--quiet" not in command
    env.install(installer.folder, ["demo"], 0, quiet=True)
    assert "--quiet" in installer.ran[-1][1]


def test_uv_installs_where_it_is(installer: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example.org/simple")
    installer.uv = "uv"
    assert env.install(installer.folder, ["demo"], 0, quiet=False)
    ((kind, command, environment),) = installer.ran
    assert kind == "uv"
    assert command == ["uv", "pip", "install", "--python", str(env.interpreter(installer.folder)), "-e", ".[demo]"]
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.example.org/simple"


def test_pip_is_tried_where_uv_fails(installer: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    installer.uv, installer.codes = "uv", {"uv": 2}
    assert env.install(installer.folder, ["demo"], 0, quiet=False)
    assert [kind for kind, *_ in installer.ran] == ["uv", "-m pip"]
    assert "uv could not install it; trying pip." in capsys.readouterr().out


def test_registries_are_uvs_as_they_were_pips() -> None:
    given = {"PIP_INDEX_URL": "a", "PIP_EXTRA_INDEX_URL": "b c", "PIP_FIND_LINKS": "", "UV_DEFAULT_INDEX": "own"}
    assert env.uv_environment(given) == {"UV_INDEX": "b c", "UV_INDEX_STRATEGY": "unsafe-best-match"}
    assert env.uv_environment({}) == {}


@pytest.mark.parametrize("uv", [None, "uv"])
def test_an_environment_is_made_by_uv_or_by_venv(installer: SimpleNamespace, uv: str | None) -> None:
    installer.uv = uv
    folder = installer.folder / "venv"
    folder.mkdir()
    env.create(folder, 0)
    assert [kind for kind, *_ in installer.ran] == (["uv"] if uv else ["-m venv"])
    installer.codes = {"uv": 1, "-m venv": 1}
    with pytest.raises(SystemExit, match="No environment could be made"):
        env.create(folder, 0)


@pytest.mark.parametrize(
    ("log", "kept"),
    [
        ("WARNING: Retrying (Retry(total=0))\nERROR: No matching distribution found for torch", True),
        ("Installing collected packages: torch\nERROR: [Errno 28] No space left on device", False),
    ],
)
def test_an_update_that_fails_leaves_what_pip_has_not_touched(
    installer: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, log: str, kept: bool
) -> None:
    before = env.new_stamp(["demo"], "3.11")
    env.write_stamp(installer.folder, before)
    monkeypatch.setattr(env, "python_version", lambda python: "3.11")
    installer.codes, installer.log = {"-m pip": 1}, log
    with pytest.raises(SystemExit) as stop:
        env.set_up(installer.folder, ["demo", "dev"], 0)
    assert env.read_stamp(installer.folder) == (before if kept else {})
    message = str(stop.value)
    for said in ("install.log", "HTTPS_PROXY", "PIP_INDEX_URL", "TRANSLATE_VENV", "3.11 to 3.13", "start again"):
        assert said in message
    assert max(len(line) for line in message.splitlines() if str(installer.folder) not in line) < 80


def test_what_is_complete_is_stamped(installer: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "python_version", lambda python: "3.12")
    (installer.folder / "pyvenv.cfg").write_text("")
    env.set_up(installer.folder, ["demo"], 0)
    assert env.read_stamp(installer.folder) == env.new_stamp(["demo"], "3.12")
    installer.ran.clear()
    env.set_up(installer.folder, ["demo"], 0)
    assert installer.ran == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_what_was_started_ends_with_this_process(tmp_path: Path) -> None:
    code = (
        f"import sys, signal; sys.path.insert(0, {str(SCRIPTS)!r}); import _environment as env\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"file = open({str(tmp_path / 'lock')!r}, 'w')\n"
        "env.run([sys.executable, '-c', 'import time; print(\"up\", flush=True); time.sleep(60)'], file.fileno())"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.terminate()
    assert process.wait(timeout=30) == 143
    assert process.stdout.read() == ""  # its end closed the pipe


def test_a_command_that_is_not_there_fails(tmp_path: Path) -> None:
    with env.locked(tmp_path / env.LOCK) as lock:
        assert env.run([str(tmp_path / "missing")], lock) == 127


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

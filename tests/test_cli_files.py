"""Files in, files out, of every command: nothing is lost, nothing overwritten, and what is passed over is said."""

import csv
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from learned import SIZE, save_learned
from PIL import Image

from translate.cli.main import main
from translate.inference import choose_device, choose_precision
from translate.inference import record as records

COMMANDS = ("apply", "derive", "compress", "reconstruct")
SUFFIXES = {"compress": ".tvq"}
DEVICE = choose_device()
HERE = f"{choose_precision('auto', DEVICE)} on {'the CPU' if DEVICE.type == 'cpu' else DEVICE}"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    pytest.importorskip("constriction")
    folder = tmp_path_factory.mktemp("weights")
    return {"compress": save_learned(folder / "vqvae", "vqvae"), "reconstruct": save_learned(folder / "ae", "ae")}


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """Of 60 images of noise."""
    folder = tmp_path_factory.mktemp("detector")
    images = np.random.default_rng(0).integers(0, 256, (60, SIZE, SIZE), np.uint8)
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", *images.shape)
    (folder / "train-images-idx3-ubyte").write_bytes(head + images.tobytes())
    ae = save_learned(folder / "ae", "ae", hold_out=0.4)
    assert main(["anomaly", "fit", str(ae), str(folder), "-o", str(folder / "detector")]) == 0
    return folder / "detector"


@pytest.fixture
def start(weights, tiny_weights):
    """What each command line begins with."""
    known = {**weights, "decompress": weights["compress"], "apply": tiny_weights, "derive": "edges"}
    return lambda command: [command, str(known[command])]


def picture(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (SIZE, SIZE), value).save(path)


@pytest.fixture
def stems(tmp_path, monkeypatch):
    """Two folders with the same names, one with two files of one stem, one of which a part cannot be read."""
    monkeypatch.chdir(tmp_path)
    for place, name in enumerate(("a/0.png", "a/1.png", "b/0.png", "b/1.png", "c/0.png", "c/0.jpg")):
        picture(tmp_path / name, 40 * place)
    picture(tmp_path / "mixed" / "1.png")
    picture(tmp_path / "mixed" / "deep" / "2.png")
    (tmp_path / "mixed" / "film.mp4").write_bytes(b"film")
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("command", COMMANDS)
def test_no_output_is_lost(command, start, stems):
    suffix = SUFFIXES.get(command, ".png")
    assert main([*start(command), "a", "b", "-o", "out"]) == 0
    assert files(Path("out")) == [f"{name}{suffix}" for name in ("a/0", "a/1", "b/0", "b/1")]
    assert main([*start(command), "[ab]/*.png", "-o", "again"]) == 0
    assert files(Path("again")) == files(Path("out"))
    assert main([*start(command), "c", "-o", "one"]) == 0
    kept = ["0-jpg.tvq", "0-png.tvq"] if command == "compress" else ["0-jpg.png", "0.png"]
    assert files(Path("one")) == kept


@pytest.mark.parametrize("command", ["apply", "derive", "reconstruct"])
def test_no_input_is_overwritten(command, start, stems, capsys):
    before = {name: (stems / name).read_bytes() for name in files(stems)}
    for out in ("a", "a/0.png"):
        assert main([*start(command), "a", "c", "-o", "."]) == 2
        assert main([*start(command), "a/0.png", "-o", out]) == 2
        assert "is an input and would be overwritten" in capsys.readouterr().err
    assert {name: (stems / name).read_bytes() for name in files(stems)} == before


def test_what_is_compressed_is_made_again(start, stems, capsys):
    assert main([*start("compress"), "a", "b", "c", "-o", "small"]) == 0
    assert len(files(Path("small"))) == 6
    assert "6 compressed to small, in subfolders: decompress with -r" in capsys.readouterr().out
    assert main([*start("decompress"), "small", "-o", "again"]) == 2
    assert "no .tvq files in this folder: 3 folders not searched (-r searches them)" in capsys.readouterr().err
    assert main([*start("decompress"), "small", "-r", "-o", "again"]) == 0
    assert files(Path("again")) == ["a/0.png", "a/1.png", "b/0.png", "b/1.png", "c/0-jpg.png", "c/0-png.png"]
    assert main([*start("decompress"), "small/a", "small/b", "-o", "third"]) == 0
    assert files(Path("third")) == ["a/0.png", "a/1.png", "b/0.png", "b/1.png"]


def test_each_row_of_scores_leads_to_a_file(detector, stems):
    assert main(["anomaly", "score", str(detector), "a", "b", "c", "-o", "out"]) == 0
    with Path("out/scores.csv").open(encoding="utf-8") as table:
        names = [row["image"] for row in csv.DictReader(table)]
    assert names == ["a/0.png", "a/1.png", "b/0.png", "b/1.png", "c/0.jpg", "c/0.png"]
    assert all(Path(name).is_file() for name in names)
    kept = ["a/0.png", "a/1.png", "b/0.png", "b/1.png", "c/0-jpg.png", "c/0.png"]
    assert files(Path("out/heat")) == kept


def test_sets_keep_their_tree(detector, stems, start, capsys):
    for name in ("train/x/0.png", "train/y/0.png", "test/x/0.png", "test/y/0.png", "test/y/0.jpg"):
        picture(Path("set") / name)
    Path("set/test/x/film.mp4").touch()
    assert main(["anomaly", "score", str(detector), "set", "-o", "scores"]) == 0
    said = capsys.readouterr().err
    assert "set: files that are not read: 1 .mp4" in said
    assert "set: the test images are read, and those of train are not (--split)" in said
    with Path("scores/scores.csv").open(encoding="utf-8") as table:
        names = [row["image"] for row in csv.DictReader(table)]
    assert sorted(names) == ["test/x/0.png", "test/y/0.jpg", "test/y/0.png"]
    assert main([*start("reconstruct"), "set", "-o", "out"]) == 0
    assert files(Path("out")) == ["test/x/0.png", "test/y/0-jpg.png", "test/y/0.png"]


@pytest.mark.parametrize("command", [*COMMANDS, "anomaly"])
def test_what_was_passed_over_is_said(command, start, detector, stems, capsys):
    line = ["anomaly", "score", str(detector)] if command == "anomaly" else start(command)
    assert main([*line, "mixed", "-o", "out"]) == 0
    said = capsys.readouterr().err
    assert "mixed: 1 of 2 files read: 1 .mp4 not read; 1 folder not searched (-r searches it)" in said
    assert main([*line, "mixed", "-r", "-o", "deep"]) == 0
    said = capsys.readouterr().err
    assert "mixed: 2 of 3 files read: 1 .mp4 not read\n" in said
    suffix = SUFFIXES.get(command, ".png")
    found = files(Path("deep/heat") if command == "anomaly" else Path("deep"))
    assert found == [f"1{suffix}", f"deep/2{suffix}"]
    assert main([*line, "a", "-o", "whole"]) == 0
    assert "searched" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS, "anomaly"])
def test_a_folder_of_folders_names_r(command, start, detector, stems, capsys):
    line = ["anomaly", "score", str(detector)] if command == "anomaly" else start(command)
    picture(Path("frames/year/clip/1.png"))
    if command in ("apply", "derive"):
        assert main([*line, "frames", "-o", "out"]) == 2
        assert "-r searches" in capsys.readouterr().err
        assert not Path("out").exists()
    else:  # these take image sets, too, which may lie in the only folder
        assert main([*line, "frames", "-o", "set"]) == 0
        assert "everything is in year/clip/" in capsys.readouterr().err
    assert main([*line, "frames", "-r", "-o", "out"]) == 0
    out = Path("out/heat") if command == "anomaly" else Path("out")
    assert [Path(name).with_suffix("").as_posix() for name in files(out)] == ["year/clip/1"]


@pytest.mark.parametrize("name", ["out.heic", "out.svg", "out.avi", "out.csv"])
@pytest.mark.parametrize("command", [*COMMANDS, "decompress", "anomaly", "embed"])
def test_files_of_other_kinds_are_refused(command, name, start, detector, stems, capsys):
    pytest.importorskip("sklearn")
    begins = {"anomaly": ["anomaly", "score", str(detector)], "embed": ["embed", start("reconstruct")[1]]}
    line = begins[command] if command in begins else start(command)
    before = files(stems)
    assert main([*line, "a", "-o", name]) == 2
    assert f"{Path(name).suffix} cannot be written" in capsys.readouterr().err
    assert not Path(name).exists()
    assert files(stems) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_folders_with_dots_are_folders(command, start, stems):
    assert main([*start(command), "a", "-o", "runs/v1.2"]) == 0
    assert files(Path("runs/v1.2")) == [f"{name}{SUFFIXES.get(command, '.png')}" for name in ("0", "1")]


def test_links_are_inputs(start, stems):
    try:
        Path("a/2.png").symlink_to("0.png")
        Path("a/more").symlink_to("../b")
        Path("b/up").symlink_to("..")
    except OSError:
        pytest.skip("links are not allowed here")
    assert main([*start("derive"), "a", "-r", "-o", "out"]) == 0
    assert files(Path("out")) == ["0.png", "1.png", "2.png", "more/0.png", "more/1.png"]


@pytest.mark.parametrize("command", ["sample", "export", "import", "anomaly fit"])
def test_weights_and_samples_are_no_files_of_other_kinds(command, weights, tiny_weights, tmp_path, capsys):
    vae = str(save_learned(tmp_path / "vae", "vae"))
    file = str(tiny_weights / "model.safetensors")
    line = {
        "sample": ["sample", vae, "--count", "2"],
        "export": ["export", vae],
        "import": ["import", file],
        "anomaly fit": ["anomaly", "fit", vae, str(tmp_path)],
    }[command]
    assert main([*line, "-o", str(tmp_path / "out.heic")]) == 2
    assert ".heic cannot be written; use " in capsys.readouterr().err
    assert not (tmp_path / "out.heic").exists()
    if command in ("sample", "export"):
        assert main([*line, "-o", str(tmp_path / "runs" / "v1.2")]) == 0
        assert (tmp_path / "runs" / "v1.2").is_dir()


def written(folder: Path) -> dict[str, int]:
    """When each file was written."""
    return {name: (folder / name).stat().st_mtime_ns for name in files(folder)}


def test_nothing_is_overwritten_unless_told(start, stems, capsys):
    assert main([*start("apply"), "a", "-o", "out"]) == 0
    before = written(Path("out"))
    capsys.readouterr()
    assert main([*start("apply"), "a", "-o", "out"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "out/0.png and 1 more exist: --resume keeps what this command has already made, --overwrite replaces" in said
    assert written(Path("out")) == before
    assert main([*start("apply"), "a/0.png", "-o", "out/0.png"]) == 0  # its name was given
    assert main([*start("apply"), "a", "-o", "out", "--overwrite"]) == 0
    assert all(written(Path("out"))[name] > before[name] for name in before)


def test_resume_makes_what_is_left(start, stems, capsys):
    command = [*start("apply"), "a", "b", "-o", "out"]
    assert main(command) == 0
    before = written(Path("out"))
    Path("out/a/1.png").unlink()  # was never made
    Path("out/b/0.png").write_bytes(b"torn")  # was changed
    picture(Path("b/1.png"), 200)  # has changed
    capsys.readouterr()
    assert main([*command, "--resume"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "out/b/0.png and 1 more exist and came of another input, weights or options" in said
    assert main([*command, "--resume", "--overwrite"]) == 0
    assert f"3 of 4 translated to out, {HERE}, 1 done before" in capsys.readouterr().out
    after = written(Path("out"))
    assert after["a/0.png"] == before["a/0.png"]
    assert all(after[name] > before[name] for name in ("b/0.png", "b/1.png"))
    assert main([*command, "--resume"]) == 0
    assert "0 of 4 translated, 4 done before" in capsys.readouterr().out
    assert main([*command, "--resume", "--batch-size", "1", "--tile", "8"]) == 0  # make nothing else
    assert main([*command, "--resume", "--quality", "80"]) == 2  # another job


@pytest.fixture
def record_file(tmp_path_factory, monkeypatch):
    """The only record there is, once there is one."""
    folder = tmp_path_factory.mktemp("own-records")
    monkeypatch.setattr("translate.inference.record.records", lambda: folder)
    return lambda: next(folder.glob("*.jsonl"))


def test_a_torn_record_costs_one_output(start, stems, capsys, record_file):
    command = [*start("apply"), "a", "-o", "out"]
    assert main(command) == 0
    record = record_file()
    lines = record.read_text().strip().splitlines()
    assert len(lines) == 2
    record.write_text(f"{lines[0]}\n{lines[1][:20]}")
    Path("out/1.png").unlink()
    capsys.readouterr()
    assert main([*command, "--resume"]) == 0
    assert f"1 of 2 translated to out, {HERE}, 1 done before" in capsys.readouterr().out
    assert main([*command, "--resume"]) == 0
    assert "0 of 2 translated, 2 done before" in capsys.readouterr().out


def test_records_of_long_ago_are_forgotten(start, stems, record_file):
    assert main([*start("apply"), "a", "-o", "out"]) == 0
    record = record_file()
    records.forget_old()
    assert record.exists()
    long_ago = record.stat().st_mtime - (records.KEPT_DAYS + 1) * 86_400
    os.utime(record, (long_ago, long_ago))
    records.forget_old()
    assert not record.exists()


def test_processes_share_a_folder(start, stems, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "3")
    made = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        assert main([*start("apply"), "a", "b", "-o", "out"]) == 0
        made.append(files(Path("out")))
    assert [len(names) for names in made] == [2, 3, 4]
    assert "process 3 of 3: 1 of 1 translated to out" in capsys.readouterr().out
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert main([*start("apply"), "a", "b", "-o", "out", "--resume"]) == 0
    assert "0 of 4 translated, 4 done before" in capsys.readouterr().out


def test_metadata_is_kept_when_asked(tiny_weights, tmp_path, capsys):
    exif = Image.Exif()
    exif.update({315: "A. Person", 274: 6})
    exif[34853] = {1: "N", 2: (48.0, 51.0, 30.0)}
    Image.new("RGB", (SIZE, 2 * SIZE), (200, 40, 90)).save(tmp_path / "photo.jpg", exif=exif)
    command = ["apply", str(tiny_weights), str(tmp_path / "photo.jpg"), "-o"]
    for name, options, author in [("plain.jpg", [], None), ("kept.jpg", ["--keep-metadata"], "A. Person")]:
        assert main([*command, str(tmp_path / name), *options]) == 0
        with Image.open(tmp_path / name) as image:
            assert image.size == (2 * SIZE, SIZE)
            assert image.getexif().get(315) == author
            assert not {274, 34853} & set(image.getexif())
    capsys.readouterr()
    assert main([*command, str(tmp_path / "kept.npy"), "--keep-metadata"]) == 2
    assert ".npy files hold no EXIF or XMP" in capsys.readouterr().err


def test_parts_are_said(tiny_weights, tmp_path, capsys):
    picture(tmp_path / "in" / "small.png")
    Image.new("RGB", (600, 520), (200, 40, 90)).save(tmp_path / "in" / "large.png")
    assert main(["apply", str(tiny_weights), str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 0
    assert f"2 of 2 translated to {tmp_path / 'out'}, {HERE}, 1 of them in parts\n" in capsys.readouterr().out
    assert main(["apply", str(tiny_weights), str(tmp_path / "in/large.png"), "-o", str(tmp_path / "one.png")]) == 0
    assert f"1 of 1 translated to {tmp_path / 'one.png'}, {HERE}, in parts\n" in capsys.readouterr().out

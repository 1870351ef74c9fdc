"""The command line, as a user runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

from netlapse.cli import app

runner = CliRunner()


def run(*arguments):
    done = runner.invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def process(*arguments):
    command = [sys.executable, "-m", "netlapse", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "250"})


def test_ls_lists_runs_and_what_is_damaged(small_run, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(small_run, tmp_path / "runs" / name)
    (tmp_path / "runs" / "b" / "run.json").write_text("{")
    out = process("ls", tmp_path, "--columns", "path,status,last_epoch,activation").stdout
    assert [line.split()[1:] for line in out.splitlines()[1:]] == [["complete", "6", "tanh"], ["damaged"]]
    assert "no runs below" in run("ls", tmp_path / "runs" / "a" / "frames").output


def test_show_says_what_a_run_holds(small_run):
    out = run("show", small_run).output
    for words in ("complete", "7, epochs 0 to 6", "200 of 200", "hidden/kernel [2, 2]", "learning_rate", "keras on"):
        assert words in out


def test_plot_compare_and_film_write_what_they_say(small_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        "wrote small.png"
        in run("plot", small_run, "--epoch", 3, "--theme", "dark", "--size", "720x360", "--dpi", 60).output
    )
    with Image.open(tmp_path / "small.png") as image:
        assert image.size == (720, 360)
    assert "wrote c.png" in run("compare", small_run, small_run, "-o", "c.png").output
    with Image.open(tmp_path / "c.png") as image:
        assert image.size == (1290, 860)
    out = run(
        "film", small_run, "-o", "f.gif", "--epochs", "0:6:3", "--size", "480x240", "--dpi", 40, "--fps", 5
    ).output
    assert "3/3" in out
    with Image.open(tmp_path / "f.gif") as image:
        assert image.n_frames == 3
    run("film", small_run, small_run, "-o", "two.mp4", "--epochs", ":1", "--size", "480x300", "--dpi", 40)
    assert (tmp_path / "two.mp4").stat().st_size > 0


def test_verify(small_run, tmp_path):
    assert "sound" in run("verify", small_run).output
    copy = shutil.copytree(small_run, tmp_path / "copy")
    [segment] = (copy / "frames").glob("*.safetensors")
    content = bytearray(segment.read_bytes())
    content[-3] ^= 1
    segment.write_bytes(content)
    done = run("verify", small_run, copy)
    assert done.exit_code == 1
    assert "damaged" in done.output
    assert segment.name in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nowhere"), "nowhere does not exist"),
        (("plot", "{run}", "--epoch", "2.5"), "no frame at epoch 2.5; nearest are 2 and 3"),
        (("plot", "{run}", "--layer", "hiden"), "no layer 'hiden'; it has hidden, output"),
        (("film", "{run}", "-o", "x.avi"), "films are made as .mp4, .gif, .webp"),
        (("ls", "nowhere"), "nowhere is not a folder"),
    ],
)
def test_an_error_is_one_line_and_no_traceback(small_run, arguments, message):
    done = process(*(argument.replace("{run}", str(small_run)) for argument in arguments))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plot", "run", "--size", "big"), "write width x height in pixels"),
        (("film", "run", "--epochs", "1-5"), "write first:last"),
        (("plot", "run", "--theme", "pink"), "pink"),
    ],
)
def test_options_are_checked(small_run, arguments, message):
    done = run(*(small_run if argument == "run" else argument for argument in arguments))
    assert done.exit_code == 2
    assert message in done.output


def test_help_names_every_command():
    out = process("--help").stdout
    for command in ("demo", "ls", "show", "plot", "film", "compare", "verify", "import"):
        assert command in out


def test_panels_are_chosen_by_name(small_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "wrote two.png" in run("plot", small_run, "-o", "two.png", "--panels", "weights, curves").output
    with pytest.raises(ValueError, match="there is no panel 'weigths'; there are feature_space, "):
        run("plot", small_run, "--panels", "weigths")
    run("compare", small_run, small_run, "-o", "rows.png", "--panels", "weights,curves")
    with Image.open(tmp_path / "rows.png") as image:
        assert image.size == (860, 860)
    run("compare", small_run, "-o", "bare.png", "--panels", "weights", "--no-curves")
    with Image.open(tmp_path / "bare.png") as image:
        assert image.size == (430, 490)
    small = ("--size", "480x300", "--dpi", 40, "--epochs", ":1")
    run("film", small_run, small_run, "-o", "f.gif", "--panels", "weights,feature_space", "--no-curves", *small)
    with Image.open(tmp_path / "f.gif") as image:
        assert image.n_frames == 2

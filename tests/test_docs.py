"""What the documents say is run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def execute(code: str, folder: Path) -> str:
    # As it stands, but for a shorter training.
    code = code.replace("epochs=150", "epochs=4").replace("epochs=40", "epochs=20").replace("epoch=60", "epoch=2")
    command = [sys.executable, "-W", "error::UserWarning:netlapse", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_example_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    execute("\n".join(blocks), tmp_path)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"tanh", "torch", "kept"}
    made = {"tanh-60.png", "tanh.mp4", "tanh.html", "usual.png", "chosen.mp4", "beside.png"}
    assert {path.name for path in tmp_path.iterdir()} == {"runs", *made}


@pytest.mark.parametrize(
    ("example", "made"),
    [
        ("part1.py", {"runs", "activations.png", "sigmoid.mp4", "tanh.mp4", "relu.mp4"}),
        ("your_model.py", {"runs", "moons.png", "moons.gif"}),
        ("sklearn_mlp.py", {"runs", "sklearn.png", "sklearn.gif"}),
        ("jax_flax.py", {"runs"}),
        ("lightning_autoencoder.py", {"runs"}),
        ("transformers_bert.py", {"runs", "trainer_output"}),
        ("torch_loop.py", {"runs", "loop.png"}),
    ],
)
def test_the_examples_run(example, made, tmp_path):
    execute((ROOT / "examples" / example).read_text(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == made


def test_the_readme_names_what_is_there():
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (ROOT / path).exists(), path
    picture = ROOT / "docs" / "tanh.gif"
    assert picture.stat().st_size < 3_000_000

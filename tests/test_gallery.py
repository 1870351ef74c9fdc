"""Every script of the gallery runs as it stands, and makes the pictures that it names."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import pytest
from PIL import Image

GALLERY = Path(__file__).resolve().parents[1] / "examples" / "gallery"
SCRIPTS = sorted(GALLERY.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_gallery_runs(script, keras, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.backend.clear_session()
    # In this process: importing a framework takes longer than most of them.
    runpy.run_path(str(script), run_name="__main__")
    named = set(re.findall(r'"([\w-]+\.(?:png|gif|mp4|webp))"', script.read_text()))
    made = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert made == named
    assert script.stem in {Path(name).stem for name in made}
    for name in made:
        if not name.endswith(".mp4"):
            with Image.open(tmp_path / name) as picture:
                assert min(picture.size) >= 200


def test_the_gallery_shows_every_panel():
    from netlapse.figures.panels import BY_NAME

    text = "".join(script.read_text() for script in SCRIPTS)
    default = {"feature_space", "class_probabilities", "curves", "sample_losses"}
    for name, panel in BY_NAME.items():
        assert name in default or f'"{name}"' in text or f"panels.{panel.__name__}(" in text, name


def test_the_gallery_shows_every_figure_of_studies():
    from netlapse.figures import studies

    text = "".join(script.read_text() for script in SCRIPTS)
    drawn = [name for name, value in vars(studies).items() if inspect.isfunction(value)]
    assert len(drawn) == 6
    assert [name for name in drawn if f"studies.{name}(" not in text] == []


def test_the_readme_names_every_script():
    readme = (GALLERY.parents[1] / "README.md").read_text()
    assert [script.name for script in SCRIPTS if f"(examples/gallery/{script.name})" not in readme] == []

"""Films: their frames, their files."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import av
import numpy as np
import pytest
from PIL import Image

import netlapse
from netlapse import figures
from netlapse.figures.encoders import encoder
from netlapse.figures.film import frames, with_between

SIZE = (720, 360)


@pytest.fixture(scope="module")
def replay(small_run):
    return netlapse.open(small_run)


def scene_of(replay):
    return figures.Panels(replay, size=SIZE, dpi=60)


def decode(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_frame_is_what_a_full_drawing_gives(replay):
    for epoch, frame in zip([0, 3, 6], frames(scene_of(replay), [0, 3, 6]), strict=True):
        scene = scene_of(replay)
        scene.show(epoch)
        scene.figure.canvas.draw()
        whole = np.asarray(scene.figure.canvas.buffer_rgba()).astype(int)
        difference = np.abs(whole - frame.astype(int)).max(axis=-1)
        # Only the order at the rims of the Axes may differ: frames draw what moves above all that stays.
        assert (difference > 40).mean() < 0.002


def test_frames_come_out_the_same_twice_and_differ_where_the_epoch_differs(replay):
    def digests():
        return [
            hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames(scene_of(replay), replay.epochs.tolist())
        ]

    first = digests()
    assert first == digests()
    assert len(set(first)) == len(first) == 7


def test_a_frame_does_not_depend_on_those_before_it(replay):
    *_, last = (frame.copy() for frame in frames(scene_of(replay), [0, 5, 2]))
    # The first frame settles the layout, so that it is the same here.
    *_, alone = (frame.copy() for frame in frames(scene_of(replay), [0, 2]))
    np.testing.assert_array_equal(last, alone)


def test_mp4_plays_everywhere(replay, tmp_path):
    path = netlapse.film(replay, tmp_path / "run.mp4", size=SIZE, dpi=60, fps=12)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == SIZE
        assert stream.average_rate == 12
        assert stream.codec_context.colorspace == 1  # BT.709
    pictures = decode(path)
    assert len(pictures) == 7
    assert all((a != b).any() for a, b in pairwise(pictures))
    # The colours that were drawn come back: white paper, and the picture itself but for the loss of coding.
    *_, drawn = (frame.copy() for frame in frames(scene_of(replay), replay.epochs.tolist()))
    assert np.abs(pictures[-1].astype(int) - drawn[..., :3]).mean() < 3
    assert (pictures[-1][2, 2] >= 253).all()


def test_the_same_run_gives_the_same_file(replay, tmp_path):
    paths = [netlapse.film(replay, tmp_path / f"{n}.mp4", size=SIZE, dpi=60) for n in (1, 2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animated_pictures(replay, tmp_path, suffix):
    path = netlapse.film(replay, tmp_path / f"run{suffix}", size=SIZE, dpi=60, fps=10, epochs=[0, 2, 6])
    with Image.open(path) as image:
        assert image.n_frames == 3
        assert image.size == SIZE
        assert image.info["loop"] == 0
        image.seek(1)
        image.load()
        assert image.info["duration"] == 100
        assert np.asarray(image.convert("RGB"))[2, 2].min() == 255


def test_epochs_sizes_and_progress(replay, tmp_path):
    seen = []
    path = netlapse.film(
        replay,
        tmp_path / "new" / "part.mp4",
        epochs=slice(1, 5, 2),
        size=(641, 321),
        dpi=50,
        progress=lambda done, total: seen.append((done, total)),
    )
    pictures = decode(path)
    assert len(pictures) == 3
    assert pictures[0].shape == (322, 642, 3)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_frames_between_are_interpolated_and_say_so(replay, tmp_path):
    assert with_between(np.array([0.0, 1.0, 3.0]), 1) == [0, 0.5, 1, 2, 3]
    assert with_between(np.array([2.0]), 3) == [2]
    path = netlapse.film(replay, tmp_path / "smooth.mp4", size=SIZE, dpi=60, between=2, epochs=slice(0, 2))
    assert len(decode(path)) == 7
    scene = scene_of(replay)
    scene.show(1 / 3)
    assert scene._clock._text.get_text().startswith("interpolated")
    points = replay.feature_space("hidden", [0.0, 1.0]).points
    np.testing.assert_allclose(
        scene.drawn[0].parts[0].dots[1].positions,
        (points[0] + (points[1] - points[0]) / 3)[replay.targets() == 1],
        rtol=1e-5,
    )
    with pytest.raises(ValueError, match="between=-1"):
        netlapse.film(replay, tmp_path / "x.mp4", between=-1)


def test_a_film_of_several_runs(replay, tmp_path):
    path = netlapse.film([replay, replay], tmp_path / "two.mp4", epochs=[0, 6], size=(900, 600), dpi=70)
    assert len(decode(path)) == 2


def test_a_film_of_several_runs_shows_panels_in_rows(replay, tmp_path):
    rows = ["weights", netlapse.panels.Curves()]
    path = netlapse.film([replay, replay], tmp_path / "rows.mp4", panels=rows, epochs=[0, 6])
    first, last = decode(path)
    assert first.shape == last.shape == (860, 860, 3)
    assert (first != last).any()
    scene = figures.Comparison([replay, replay], panels=rows)
    for epoch, frame in zip([0, 6], (frame.copy() for frame in frames(scene, [0, 6])), strict=True):
        whole = figures.Comparison([replay, replay], panels=rows)
        whole.show(epoch)
        whole.figure.canvas.draw()
        difference = np.abs(np.asarray(whole.figure.canvas.buffer_rgba()).astype(int) - frame).max(axis=-1)
        assert (difference > 40).mean() < 0.002
    with pytest.raises(ValueError, match="curves= are those of several runs"):
        netlapse.film(replay, tmp_path / "x.mp4", curves=False)
    with pytest.raises(ValueError, match="none of these panels takes layer="):
        netlapse.film([replay, replay], tmp_path / "x.mp4", panels=["weights"], layer="hidden")
    assert not (tmp_path / "x.mp4").exists()


def test_errors_come_before_the_work(replay, tmp_path):
    with pytest.raises(ValueError, match=r"suffix '\.avi'; films are made as \.mp4, \.gif, \.webp"):
        netlapse.film(replay, tmp_path / "run.avi")
    with pytest.raises(netlapse.errors.MissingFrame, match=r"no frame at epoch 2\.5"):
        netlapse.film(replay, tmp_path / "run.mp4", epochs=[2.5])
    with pytest.raises(netlapse.errors.MissingFrame, match="epochs 10 to 20"):
        netlapse.film(replay, tmp_path / "run.mp4", epochs=slice(10, 20))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_an_unfinished_film_leaves_nothing_behind(tmp_path, name):
    def interrupted():
        with encoder(tmp_path / name, (60, 40), 10) as encode:
            encode(np.zeros((40, 60, 4), np.uint8))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_fails_says_so(tmp_path):
    def many():
        with encoder(tmp_path / "missing" / "a.mp4", (60, 40), 10) as encode:
            for _ in range(100):
                encode(np.zeros((40, 60, 4), np.uint8))

    with pytest.raises(FileNotFoundError):
        many()

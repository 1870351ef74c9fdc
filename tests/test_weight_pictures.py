"""Pictures of weight space: the data of their artists, what they say, and that it can be read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

import netlapse
from netlapse import figures, measures
from netlapse.figures.interpolation import InterpolationPanel
from netlapse.figures.theme import THEMES
from netlapse.figures.weight_space import LossSurfacePanel, TrajectoryPanel, levels
from tests.test_figures import assert_legible, axes

EPOCHS = np.arange(8.0)


@pytest.fixture(scope="module")
def replay(small_run):
    return netlapse.open(small_run)


def plane(kind="pca", state=False):
    centre = {"kernel": np.zeros((2, 2), "f4"), **({"mean": np.zeros(2, "f4")} if state else {})}
    directions = {"kernel": np.eye(2, 4, dtype="f4").reshape(2, 2, 2)}
    angles = np.linspace(0, 2, 8)
    points = np.stack([-3 * np.cos(angles / 2), np.sin(angles)], axis=1)
    return measures.WeightPlane(kind, 7.0, centre, directions, points - points[-1], (0.72, 0.031), 0.751)


def way(of):
    loss = np.linspace(2, 0.1, 8)
    return measures.Trajectory(EPOCHS, of, of.points, np.linspace(0.5, 0, 8), np.linspace(3, 0, 8), loss)


def surface(of, change=lambda losses: losses, loss="binary cross-entropy"):
    def mean_losses(weights):
        first, second = weights["kernel"].reshape(-1, 4)[:, :2].T
        return 0.1 + first**2 + 4 * second**2

    made = measures.loss_surface(mean_losses, of, loss=loss, split="validation", resolution=25)
    return measures.LossSurface(of, loss, "validation", made.x, made.y, change(made.losses))


def words(ax):
    return "\n".join([ax.get_title("left"), ax.get_xlabel(), ax.get_ylabel(), *(text.get_text() for text in ax.texts)])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_can_be_read(replay, theme):
    panels = [netlapse.panels.LossSurface(resolution=7), "trajectory", "interpolation", "curves"]
    figure = netlapse.plot(replay, panels=panels, theme=theme)
    assert assert_legible(figure) > 30
    alone = netlapse.plot(replay, panels=[netlapse.panels.LossSurface(kind="random", resolution=5)], theme=theme)
    assert_legible(alone)
    assert to_rgb(alone.axes[0].get_facecolor()) == to_rgb(THEMES[theme].line)
    assert "filter-normalised" in words(alone.axes[0])


def test_a_film_moves_the_dot_and_nothing_else(replay):
    told = []
    panel = netlapse.panels.LossSurface(resolution=5, split="train", progress=lambda *done: told.append(done))
    scene = figures.Panels(replay, [panel, netlapse.panels.Trajectory(), netlapse.panels.Interpolation()])
    assert told[-1] == (25, 25)
    moves = replay.trajectory(plane=replay.weight_plane(), split="train")
    for part in (scene.drawn[0].parts[0], scene.drawn[1].parts[0]):
        part.show(moves.at(2))
        np.testing.assert_allclose(np.transpose(part._path._now.get_data())[0], moves.coordinates[2])
        np.testing.assert_allclose(np.transpose(part._path._past[0].get_data()), moves.coordinates[:3])
    scene.show(3.5)
    between = (moves.coordinates[3] + moves.coordinates[4]) / 2
    np.testing.assert_allclose(np.transpose(scene.drawn[0].parts[0]._path._now.get_data())[0], between)
    assert len(scene.drawn[0].artists) == 6
    assert not scene.drawn[2].artists
    scene.show(6)
    text = scene.drawn[0].parts[0]._losses.get_text()
    assert text.startswith(f"loss {replay.losses(6).mean():.3g}, at dot ")


def test_the_surface_says_what_it_is():
    panel_ax = axes((7, 6))
    LossSurfacePanel(panel_ax, surface(plane(state=True)), way(plane(state=True)), theme=THEMES["light"])
    said = words(panel_ax)
    assert "1st principal direction\n(72 % of movement)" in said
    assert "2nd principal direction\n(3.1 % of movement)" in said
    assert "BatchNorm statistics of epoch 7" in said
    [bar] = panel_ax.child_axes
    assert bar.get_ylabel() == "binary cross-entropy (nats)\nvalidation examples"
    assert panel_ax.get_aspect() == 1  # distances are true
    other = axes((7, 6))
    LossSurfacePanel(other, surface(plane("random"), loss="mean squared error"), way(plane()), theme=THEMES["dark"])
    assert "random direction 1" in words(other)
    assert "BatchNorm" not in words(other)
    assert other.child_axes[0].get_ylabel() == "mean squared error\nvalidation examples"


def test_contours_lie_at_the_losses_of_the_bar():
    ax = axes((7, 6))
    made = surface(plane())
    LossSurfacePanel(ax, made, way(plane()), theme=THEMES["light"])
    lines = ax.collections[1]
    ticks = [float(label.get_text()) for label in ax.child_axes[0].get_yticklabels()]
    np.testing.assert_allclose(np.exp(lines.levels), ticks)
    for level, path in zip(ticks, lines.get_paths(), strict=True):
        found = 0.1 + path.vertices[:, 0] ** 2 + 4 * path.vertices[:, 1] ** 2
        np.testing.assert_allclose(found, level, rtol=0.25)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_finite_loss_is_grey_and_said(broken):
    def change(losses):
        return np.where(losses > 8, broken, losses)

    ax = axes((7, 6))
    panel = LossSurfacePanel(ax, surface(plane(), change), way(plane()), theme=THEMES["light"])
    assert "grey: no finite loss" in words(ax)
    panel.show(way(plane()).at(7))
    ax.figure.canvas.draw()
    nothing = axes((7, 6))
    panel = LossSurfacePanel(
        nothing, surface(plane(), lambda losses: losses * broken), way(plane()), theme=THEMES["dark"]
    )
    panel.show(way(plane()).at(0))
    assert panel._losses.get_text().endswith("at dot not a number")
    assert not nothing.child_axes
    nothing.figure.canvas.draw()


def test_a_diverged_run_is_drawn_up_to_there():
    whole = way(plane())
    lost = measures.Trajectory(
        EPOCHS, whole.plane, np.where(EPOCHS[:, None] > 5, np.nan, whole.coordinates), whole.distance, whole.moved
    )
    ax = axes((5, 5))
    panel = TrajectoryPanel(ax, lost, theme=THEMES["light"])
    panel.show(lost.at(0))
    assert panel._distance.get_text() == "0.5 away from the plane"
    panel.show(lost.at(7))
    np.testing.assert_allclose(panel._path._ends[1], whole.coordinates[5])
    assert np.isfinite(ax.get_xlim()).all()
    ax.figure.canvas.draw()


def test_several_runs_have_a_colour_and_a_name_each():
    ways = [way(plane()), way(plane())]
    for draw in (figures.trajectory, lambda many, ax, **more: figures.loss_surface(surface(plane()), many, ax, **more)):
        ax = axes((6, 6))
        artists = draw(ways, ax, names=["first", "second"], epoch=3)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["first", "second"]
        assert len({artist.get_markerfacecolor() for artist in artists[:6] if artist.get_marker() == "o"}) == 2
        alone = axes((6, 6))
        assert draw(ways[0], alone, epoch=3, theme="dark")
        assert {text.get_text() for text in alone.texts} == {"start", "end"}
        alone.figure.canvas.draw()


@given(st.floats(-1e3, 1e6), st.floats(1e-9, 1e9))
def test_levels_are_few_and_within(low, span):
    found = levels(low, low + span)
    assert 1 <= len(found) <= 12
    assert (np.diff(found) > 0).all()
    assert (found >= low).all()
    assert (found <= low + span).all()


@pytest.mark.parametrize(("low", "high"), [(0.05, 2.6), (1e-5, 8), (1e-12, 1e9), (0.68, 0.71), (-4, 1), (3, 3)])
def test_levels_are_round(low, high):
    found = levels(low, high)
    assert len(found) >= (1 if low == high else 3)
    assert all(float(f"{level:.3g}") == pytest.approx(level) for level in found)


def line(losses, accuracies=None):
    alphas = measures.usual_alphas()
    return measures.Interpolation(alphas, losses(alphas), accuracies, "cross-entropy", "train", ("epoch 0", "a" * 40))


def test_the_barrier_is_marked_at_its_height():
    ax = axes((7, 5))
    hill = line(lambda alpha: 1 + alpha + 4 * alpha * (1 - alpha), np.full(37, 0.9))
    artists = figures.interpolation(hill, ax, theme="dark")
    assert hill.barrier == pytest.approx(1)
    assert "barrier 1" in words(ax)
    [arrow] = [text for text in ax.texts if text.get_text() == "" and hasattr(text, "arrow_patch")]
    assert (arrow.xy, arrow.xyann) == ((0.5, pytest.approx(1.5)), (0.5, pytest.approx(2.5)))
    np.testing.assert_allclose(artists[0].get_ydata(), hill.losses)
    np.testing.assert_allclose(artists[1].get_ydata(), 0.9)
    assert [tick.get_text() for tick in ax.get_xticklabels()][2] == f"1\n{'a' * 23}\N{HORIZONTAL ELLIPSIS}"


@pytest.mark.parametrize(
    ("losses", "note"),
    [
        (lambda alpha: 2 - alpha, "no barrier"),
        (lambda alpha: np.where((alpha > 0.2) & (alpha < 0.4), np.nan, alpha + 1), "not a number on the way"),
        (lambda alpha: alpha * np.nan, "not a number on the way"),
    ],
)
def test_what_is_no_barrier_is_said(losses, note):
    ax = axes((7, 5))
    panel = InterpolationPanel(ax, line(losses), theme=THEMES["light"])
    assert note in panel.note.get_text()
    ax.figure.canvas.draw()

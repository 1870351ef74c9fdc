"""Panels: the data of their artists first, then pictures."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

import netlapse
from netlapse import figures, measures
from netlapse.errors import MissingFrame, Unsupported
from netlapse.figures.blocks import Blocks, overview
from netlapse.figures.shapes import Dots, Ticker, broken, edge, regions
from netlapse.figures.theme import DARK, LIGHT, THEMES

EPOCHS = np.array([0.0, 1.0, 2.0])


def axes(size=(4, 4)):
    figure = Figure(figsize=size, dpi=100)
    FigureCanvasAgg(figure)
    return figure.add_axes((0, 0, 1, 1))


def picture(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


@pytest.fixture(scope="module")
def replay(small_run):
    return netlapse.open(small_run)


def test_dots_lie_where_their_data_are_to_a_fraction_of_a_pixel():
    ax = axes()
    ax.axis("off")
    ax.set(xlim=(0, 400), ylim=(0, 400))
    dots = Dots(ax, "black", radius=6)
    for x, y in ((100.0, 100.0), (100.4, 250.7), (333.3, 20.2)):
        dots.set_positions(np.array([[x, y]]))
        ink = 255 - picture(ax.figure)[..., 0]
        rows, columns = np.indices(ink.shape)
        centre = (columns * ink).sum() / ink.sum() + 0.5, 400 - ((rows * ink).sum() / ink.sum() + 0.5)
        assert centre == pytest.approx((x, y), abs=0.05)


def test_dots_leave_out_what_is_not_finite():
    dots = Dots(axes(), "black")
    dots.set_positions(np.array([[0, 0], [np.nan, 1], [np.inf, 2], [1, 1.0]]))
    assert dots.positions.tolist() == [[0, 0], [1, 1]]


def test_the_edge_is_found_between_grid_points():
    x = np.linspace(-1, 1, 30)
    logits = 50 * (x[None, :] - 0.123) - 20 * x[:, None]
    vertices = edge(x, x, logits).vertices
    assert len(vertices)
    np.testing.assert_allclose(50 * (vertices[:, 0] - 0.123) - 20 * vertices[:, 1], 0, atol=1e-9)


def area(path):
    """Area of a compound path of straight edges, holes negative."""
    total, start = 0.0, 0
    ends = [*np.flatnonzero(path.codes == 1)[1:], len(path.vertices)]
    for end in ends:
        x, y = path.vertices[start:end].T
        total += (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
        start = end
    return abs(total)


def test_regions_share_the_plane_between_them():
    x = np.linspace(-1, 1, 200)
    below, above = regions(x, x, np.hypot(x[None, :], x[:, None]) - 0.5)
    assert area(below) == pytest.approx(np.pi / 4, rel=1e-3)
    assert area(below) + area(above) == pytest.approx(4)
    nothing = regions(x, x, np.full((200, 200), np.nan))
    assert all(len(path.vertices) == 0 for path in nothing)


def test_broken_lines_have_gaps():
    lines = np.arange(12.0).reshape(2, 3, 2)
    vertices = broken(lines)
    assert vertices.shape == (8, 2)
    assert np.isnan(vertices[[3, 7]]).all()
    assert vertices[4].tolist() == [6, 7]


def test_a_ticker_writes_its_text():
    ax = axes((3, 1))
    ax.axis("off")
    ticker = Ticker(0.9, 0.4, transform=ax.transAxes, size=20, color="black")
    ax.add_artist(ticker)
    text = ax.text(0.9, 0.4, "", ha="right", va="baseline", size=20)
    ticker.set_text("epoch 80 of 150")
    by_ticker = picture(ax.figure)
    ticker.set_text("")
    text.set_text("epoch 80 of 150")
    by_text = picture(ax.figure)

    def extent(pixels):
        rows, columns = np.nonzero(pixels[..., 0] < 128)
        return np.array([rows.min(), rows.max(), columns.min(), columns.max()])

    # The same letters at the same place, but for hinting.
    assert np.abs(extent(by_ticker) - extent(by_text)).max() <= 3
    assert (by_ticker < 128).mean() == pytest.approx((by_text < 128).mean(), rel=0.25)


def test_blocks_give_what_the_whole_gives(monkeypatch):
    monkeypatch.setattr("netlapse.figures.blocks.BLOCK_FRAMES", 4)
    epochs = np.arange(11.0) * 2
    calls = []

    def compute(chosen):
        calls.append(chosen)
        chosen = np.array(chosen)
        return measures.Curves(chosen, "", "accuracy", (), np.zeros(0, int), chosen**2, chosen, chosen[:, None])

    blocks = Blocks(compute, epochs)
    for epoch in [*epochs, 7.0, 8.5]:
        expected = np.interp(epoch, epochs, epochs**2)
        assert blocks.at(epoch).loss[0] == pytest.approx(expected)
    assert max(map(len, calls)) == 5
    # The first alone, then blocks of four that share a frame with the next; back alone, and on from there.
    assert [len(chosen) for chosen in calls] == [1, 5, 5, 3, 2, 5]
    assert overview(epochs, 4) == [0, 6, 14, 20]
    assert overview(epochs) == epochs.tolist()


def test_a_single_picture_takes_a_single_frame():
    epochs, calls = np.arange(300.0), []

    def compute(chosen):
        calls.append(list(chosen))
        chosen = np.array(chosen)
        return measures.Curves(chosen, "", "accuracy", (), np.zeros(0, int), chosen, chosen, chosen[:, None])

    known = compute([0.0, 299.0])
    blocks = Blocks(compute, epochs, known=known)
    for epoch in (0.0, 299.0, 150.0, 20.0, 100.25, 299.0):
        assert blocks.at(epoch).loss[0] == epoch
    assert calls == [[0, 299], [150], [20], [100, 101]]
    blocks.at(103.0)
    assert calls[4:] == [epochs[:257].tolist()]


def test_five_panels_show_the_numbers_of_the_run(replay):
    scene = figures.Panels(replay)
    scene.show(4)
    space = replay.feature_space("hidden", 4)
    negative, positive = scene.drawn[0].parts[0].dots
    np.testing.assert_allclose(negative.positions, space.points[0][space.task.labels == 0])
    np.testing.assert_allclose(positive.positions, space.points[0][space.task.labels == 1])
    outputs, targets = replay.outputs(4)[:, 0], replay.targets() == 1
    for panel, which in zip(scene.drawn[1].parts, (~targets, targets), strict=True):
        bars = panel._wrong.get_data().values
        assert bars.sum() == 100
        mistakes = ((outputs > 0.5) != targets)[which].sum()
        assert (bars - panel._right.get_data().values).sum() == mistakes
        assert panel._count.get_text() == f"{mistakes} wrong"
    curves = scene.drawn[2].parts[0]
    assert curves._lines[1].get_xdata().tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(curves._lines[1].get_ydata(), replay.losses(slice(0, 4)).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(curves._lines[0].get_ydata()[-1], ((outputs > 0.5) == targets).mean())
    losses = scene.drawn[3].parts[0]
    beyond = losses._beyond.get_text()
    shown = losses._wrong.get_data().values.sum()
    assert shown + (int(beyond.split()[0]) if beyond else 0) == 200
    assert scene._clock._text.get_text() == "epoch 4 of 6"
    scene.show(4.5)
    assert scene._clock._text.get_text() == "interpolated · epoch 4.50 of 6"


def test_scales_are_the_same_at_every_epoch(replay):
    def limits(epoch):
        figure = netlapse.plot(replay, epoch)
        return [(ax.get_xlim(), ax.get_ylim()) for ax in figure.axes]

    assert limits(0) == limits(6)
    points = replay.activations("hidden")
    (left, right), (bottom, top) = limits(0)[0]
    assert left < points[..., 0].min() < points[..., 0].max() < right
    assert bottom < points[..., 1].min() < points[..., 1].max() < top


def written(figure):
    """All texts that are drawn, with their boxes in pixels."""
    texts = list(figure.texts)
    for ax in figure.axes:
        texts += [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        texts += ax.get_legend().get_texts() if ax.get_legend() else []
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low - 1e-9 <= tick.get_loc() <= high + 1e-9]
            texts += [label for tick in ticks for label in (tick.label1, tick.label2)]
    texts += figure.findobj(Ticker)
    return [(t.get_text(), box_of(t)) for t in texts if t.get_visible() and t.get_text().strip()]


def box_of(text):
    """Where a text is, without the empty lines at its end that make room for small print."""
    box, lines = text.get_window_extent(), text.get_text().split("\n")
    share = len("\n".join(lines).rstrip().split("\n")) / len(lines)
    return Bbox([[box.x0, box.y1 - share * box.height], [box.x1, box.y1]])


def assert_legible(figure):
    """Nothing written overlaps anything else written, or is cut off."""
    figure.canvas.draw()
    boxes = written(figure)
    for k, (words, box) in enumerate(boxes):
        assert figure.bbox.padded(1).contains(*box.min), words
        assert figure.bbox.padded(1).contains(*box.max), words
        for others, other in boxes[k + 1 :]:
            assert not box.padded(-1.5).overlaps(other), (words, others)
    return len(boxes)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_written_overlaps_or_is_cut_off(replay, theme):
    for figure in (netlapse.plot(replay, theme=theme), netlapse.compare([replay, replay, replay], theme=theme)):
        assert to_rgb(figure.get_facecolor()) == to_rgb(THEMES[theme].surface)
        assert assert_legible(figure) > 40


def test_a_long_heading_is_cut_before_the_clock(replay):
    from netlapse.figures.stage import Clock

    for heading in ("short", "a run of a very long name " * 8):
        figure = Figure(figsize=(12, 6), dpi=60)
        FigureCanvasAgg(figure)
        clock = Clock(figure, heading, np.array([0.0, 150.0]), LIGHT)
        clock.show(12.5)
        assert assert_legible(figure) == 2
        assert figure.texts[0].get_text().startswith(heading[:5])


def test_panels_take_axes_and_return_their_artists(replay):
    for draw, measure, more in (
        (figures.feature_space, replay.feature_space("hidden"), {}),
        (figures.decision_boundary, replay.decision_boundary(), {}),
        (figures.class_probabilities, replay.class_probabilities(), {"of": 1}),
        (figures.sample_losses, replay.sample_losses(), {}),
        (figures.curves, replay.curves(), {}),
    ):
        ax = axes()
        artists = draw(measure, ax, epoch=2, theme="dark", **more)
        assert artists
        assert ax.get_title("left") or draw is figures.curves
        ax.figure.canvas.draw()


def test_comparison_runs_on_the_epochs_that_all_recorded(replay):
    assert figures.Comparison([replay, replay]).epochs.tolist() == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(MissingFrame, match=r"no frame at epoch 2\.5; nearest are 2 and 3"):
        netlapse.compare([replay], 2.5)
    with pytest.raises(ValueError, match="at least one replay"):
        netlapse.compare([])


def test_titles_name_the_one_setting_that_differs(replay):
    from netlapse.figures.stage import distinct_titles, shared_settings

    class Like:
        def __init__(self, name, **settings):
            self.name = name
            self.hyperparameters = {"optimizer": "SGD", "learning_rate": 0.1, "batch_size": 4, **settings}

    runs = [Like("a", activation="relu"), Like("b", activation="tanh")]
    assert distinct_titles(runs) == ["activation: relu", "activation: tanh"]
    assert shared_settings(runs) == "SGD, learning rate 0.1 · mini-batch 4"
    two = [Like("a", activation="relu", seed=1), Like("b", activation="tanh", seed=2)]
    assert distinct_titles(two) == ["a", "b"]
    assert distinct_titles(runs[:1]) == ["a"]


def test_a_hidden_layer_is_needed(keras, tmp_path):
    from netlapse.keras import capture

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid", name="out")])
    model.compile(loss="binary_crossentropy")
    capture(model, tmp_path / "flat", (np.zeros((4, 2)), np.array([0, 1, 0, 1])))
    replay = netlapse.open(tmp_path / "flat")
    with pytest.raises(Unsupported, match=r"no hidden layer to draw; its layers are out \(1 units\)"):
        netlapse.plot(replay, panels=["feature_space"])
    netlapse.plot(replay).canvas.draw()
    netlapse.plot(replay, panels=["decision_boundary", "curves"]).canvas.draw()


def test_diverged_weights_are_shown_as_such(keras, tmp_path):
    from netlapse.keras import Recorder
    from tests.conftest import small_model

    inputs = np.random.default_rng(0).normal(size=(40, 2)).astype("f4")
    targets = (inputs[:, 0] > 0).astype("f4")
    model = small_model(keras)

    class Diverge(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])

    callbacks = [Diverge(), Recorder(tmp_path / "nan", probe=(inputs, targets))]
    model.fit(inputs, targets, epochs=3, verbose=0, callbacks=callbacks)
    replay = netlapse.open(tmp_path / "nan")
    for epoch, diverged in ((1, False), (2, True)):
        scene = figures.Panels(replay)
        scene.show(epoch)
        scene.figure.canvas.draw()
        assert scene.drawn[0].parts[0]._plane.note.get_visible() is diverged
        assert (len(scene.drawn[0].parts[0].dots[0].positions) == 0) is diverged
    assert scene.drawn[1].parts[0]._count.get_text().split(maxsplit=1)[1] in ("not a number", "NaN")
    netlapse.compare([replay]).canvas.draw()


def perceived(color, matrix):
    """CIE Lab of a colour as seen through a colour-vision deficiency (a matrix on linear RGB)."""
    rgb = np.array(to_rgb(color))
    linear = np.clip(matrix @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Full protanopia, deuteranopia and tritanopia, after Machado, Oliveira and Fernandes (2009).
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deuteranopia": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "tritanopia": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_classes_and_wrong_can_be_told_apart_by_everybody(theme, deficiency):
    colors = [perceived(c, DEFICIENCIES[deficiency]) for c in (theme.negative, theme.positive, theme.wrong)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(colors[a] - colors[b]) > 20
    surface = perceived(theme.surface, DEFICIENCIES[deficiency])
    assert all(np.linalg.norm(color - surface) > 30 for color in colors)

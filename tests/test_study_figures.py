"""Pictures of studies: the data of their artists, and that all that is written can be read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from netlapse.figures import studies
from netlapse.figures.stage import new_figure
from netlapse.figures.studies.marks import line_style, short
from netlapse.figures.theme import DASHES, THEMES
from netlapse.study.boundaries import Boundaries
from netlapse.study.grid import Grid
from netlapse.study.outcomes import Outcomes
from netlapse.study.survival import survival
from tests.test_figures import assert_legible

NAMES = (
    "tanh",
    "relu",
    "sigmoid",
    "gelu",
    r"$\bad{ <img src=x onerror=alert(1)>",
    "a name of very many words, all too long",
)
X = np.linspace(-1, 1, 20)


def outcomes(n=50, share=0.8, seed=0, trained=150, diverged=0):
    rng = np.random.default_rng(seed)
    first = rng.integers(5, 150, n).astype(float)
    first[rng.random(n) > share] = np.nan
    lost = np.arange(n) < diverged
    first[lost] = np.nan
    return Outcomes(first, np.full(n, float(trained)), lost, np.arange(n))


def losses(n=30, settings=3, diverged=0, epochs=20):
    rng = np.random.default_rng(1)
    made = {}
    for name in NAMES[:settings]:
        values = np.exp(-np.arange(epochs) * rng.gamma(4, 0.05, (n, 1))).astype("float32")
        values[:diverged, epochs // 2 :] = np.nan
        made[name] = values
    return made


def grid(rows=3, columns=3):
    values = np.linspace(0, 1, rows * columns).reshape(rows, columns)
    n = np.full(values.shape, 1000)
    values[-1, -1], n[-1, -1] = np.nan, 0
    lost = np.zeros_like(n)
    lost[0, 0] = 12
    names = tuple(f"{k / 100:g}" for k in range(columns))
    return Grid(
        "activation", "learning_rate", (*NAMES, *"abcdefghijklmn")[:rows], names, "share ever right", values, n, lost
    )


def coordinates(n):
    rng = np.random.default_rng(2)
    columns = {
        "activation": rng.choice(NAMES, n).tolist(),
        "learning_rate": (10 ** rng.uniform(-3, 0, n)).tolist(),
        "momentum": rng.choice([0.0, 0.9, np.nan], n).tolist(),
    }
    result = rng.exponential(size=n)
    result[: n // 10] = np.nan
    return columns, result


def boundaries(n):
    logits = np.stack([X[None, :] - X[:, None] + shift for shift in np.linspace(-0.5, 0.5, n)])
    verdicts = [("right", "wrong", "diverged")[k % 3] for k in range(n)]
    logits[2::3] = np.nan
    points = np.random.default_rng(3).uniform(-0.9, 0.9, (40, 2))
    return Boundaries(np.arange(n), X, X, logits, points, (points[:, 0] > points[:, 1]).astype(int)), verdicts


def draw_all():
    """Every picture, of ordinary and of extreme studies."""
    for settings in (1, 3, 6):
        curves = {name: survival(outcomes(seed=k, diverged=k)) for k, name in enumerate(NAMES[:settings])}
        yield f"survival {settings}", lambda ax, theme, c=curves: studies.survival_curves(c, ax, theme=theme)
        of = losses(settings=settings, diverged=4)
        yield f"bands {settings}", lambda ax, theme, of=of: studies.loss_bands(of, ax, theme=theme)
        last = {name: values[:, -1] for name, values in of.items()}
        yield f"ridges {settings}", lambda ax, theme, last=last: studies.ridges(last, ax, theme=theme)
    for name, of in {
        "all censored": outcomes(share=0),
        "one network": outcomes(n=1),
        "thousands": outcomes(n=30_000),
        "all diverged": outcomes(n=5, diverged=5),
    }.items():
        curve = {"tanh": survival(of)}
        yield f"survival, {name}", lambda ax, theme, c=curve: studies.survival_curves(c, ax, theme=theme)
        yield f"waiting, {name}", lambda ax, theme, c=curve: studies.survival_curves(c, ax, waiting=True, theme=theme)
    for name, of in {
        "one network": losses(n=1, settings=1),
        "all diverged": losses(n=5, settings=2, diverged=5),
        "one epoch": losses(epochs=1),
        "nothing known": {"tanh": np.full((3, 5), np.nan)},
        "all alike": {"tanh": np.full((3, 5), 0.5)},
        "zeros": {"tanh": np.zeros((3, 5)), "relu": np.ones((3, 5))},
    }.items():
        last = {setting: values[:, -1] for setting, values in of.items()}
        yield f"bands, {name}", lambda ax, theme, of=of: studies.loss_bands(of, ax, theme=theme)
        yield f"ridges, {name}", lambda ax, theme, last=last: studies.ridges(last, ax, theme=theme)
    for shape in ((1, 2), (3, 3), (6, 7), (16, 12), (20, 30)):
        yield f"grid {shape}", lambda ax, theme, s=shape: studies.setting_grid(grid(*s), ax, form=".1%", theme=theme)
    for n in (1, 30, 3000):
        yield f"coordinates {n}", lambda ax, theme, n=n: studies.parallel_coordinates(*coordinates(n), ax, theme=theme)
        if n < 1000:
            yield f"boundaries {n}", lambda ax, theme, n=n: studies.decision_boundaries(*boundaries(n), ax, theme=theme)


PICTURES = dict(draw_all())


def pictured(draw, theme="light", size=(1000, 620)):
    figure = new_figure(size, 110, THEMES[theme], heading=False)
    ax = figure.add_subplot()
    return ax, draw(ax, theme)


@pytest.mark.parametrize(("theme", "size"), [("light", (1000, 620)), ("dark", (1000, 620)), ("light", (480, 820))])
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_legible(name, theme, size):
    ax, artists = pictured(PICTURES[name], theme, size)
    assert artists or "nothing" in name or "all diverged" in name
    assert to_rgb(ax.get_facecolor()[:3]) == to_rgb(THEMES[theme].surface)
    if name != "grid (20, 30)":  # which has more names than there is room for
        assert_legible(ax.figure)


def test_settings_have_colours_and_dashes_of_their_own():
    styles = [line_style(k, THEMES["light"]) for k in range(36)]
    assert len({(style["color"], style["linestyle"]) for style in styles}) == 36
    assert [style["linestyle"] for style in styles[:6]] == list(DASHES)
    assert short("a\nb\x1b$x$") == r"a b\x1b\$x\$"


def test_survival_curves_are_those_of_the_numbers():
    curves = {"tanh": survival(outcomes(seed=1, diverged=3)), "relu": survival(outcomes(seed=2, share=0.4))}
    ax, artists = pictured(lambda ax, theme: studies.survival_curves(curves, ax, theme=theme))
    lines = [artist for artist in artists if isinstance(artist, Line2D)]
    for line, curve in zip(lines, curves.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata()[:-1], 1 - curve.waiting)
        assert line.get_xdata()[-1] == 150
        assert line.get_ydata()[-1] == pytest.approx(curve.reached / curve.n)
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries[0] == f"tanh\n{100 * curves['tanh'].reached / 50:.0f} % of 50 right, 3 diverged"
    below = [text.get_text() for text in ax.texts]
    assert below[:3] == ["not yet right", "tanh", "50"]
    assert below[-1] == str(curves["relu"].at_risk_at(150))


def test_a_setting_trained_for_fewer_epochs_ends_there():
    curves = {"long": survival(outcomes()), "short": survival(outcomes(share=0, trained=50))}
    ax, artists = pictured(lambda ax, theme: studies.survival_curves(curves, ax, theme=theme))
    assert artists[3].get_xdata().max() == 50
    assert ax.texts[-1].get_text() == "\N{EN DASH}"


def test_bands_are_quantiles_and_what_diverged_is_worst():
    values = np.sort(np.random.default_rng(4).random((20, 7)), axis=0) + 0.5
    _, artists = pictured(lambda ax, theme: studies.loss_bands({"tanh": values}, ax, theme=theme))
    np.testing.assert_allclose(artists[-1].get_ydata(), values[9])
    outer = artists[0].get_paths()[0].vertices[:, 1]
    assert {round(y, 6) for y in outer} <= {round(y, 6) for y in (*values[0], *values[18])}
    few, most = values.copy(), values.copy()
    few[:3, 4:], most[:11, 4:] = np.nan, np.nan
    _, artists = pictured(lambda ax, theme: studies.loss_bands({"tanh": few}, ax, theme=theme))
    np.testing.assert_allclose(artists[-1].get_ydata(), np.append(values[9, :4], values[12, 4:]))
    ax, artists = pictured(lambda ax, theme: studies.loss_bands({"tanh": most}, ax, theme=theme))
    assert np.isnan(artists[-1].get_ydata()[4:]).all()
    assert "11 diverged" in ax.get_legend().get_texts()[0].get_text()
    # Of an accuracy the lowest are the worst.
    _, artists = pictured(lambda ax, theme: studies.loss_bands({"a": few}, ax, higher_is_better=True, theme=theme))
    np.testing.assert_allclose(artists[-1].get_ydata()[4:], values[9, 4:])


def test_bands_are_of_the_networks_that_are_still_trained():
    values = np.sort(np.random.default_rng(5).random((20, 7)), axis=0) + 0.5
    values[12:16, 3:], values[16:, 4:] = np.nan, np.nan
    values[:, 0] = np.nan  # nothing is known before training
    lost = np.arange(20) >= 16
    ax, artists = pictured(lambda ax, theme: studies.loss_bands({"a": values}, ax, diverged={"a": lost}, theme=theme))
    median = artists[-1].get_ydata()
    assert np.isnan(median[0])
    # At first of 20, then of 16, at last of 12 that are known and 4 that diverged.
    np.testing.assert_allclose(median[1:3], values[9, 1:3])
    np.testing.assert_allclose(median[3], np.sort(values[[*range(12), *range(16, 20)], 3])[7])
    np.testing.assert_allclose(median[4:], values[7, 4:])
    assert ax.get_legend().get_texts()[0].get_text() == "a\n20 networks, 4 diverged\n4 ended early"
    # All that are left diverged: the line ends at a cross. All have ended: it just ends.
    for end, marker in ((values[16:], "X"), (values[12:16], "None")):
        of = {"a": np.concatenate([end, end])}
        which = {"a": np.full(8, marker == "X")}
        _, artists = pictured(lambda ax, theme, of=of, which=which: studies.loss_bands(of, ax, diverged=which))
        assert np.isnan(artists[-1].get_ydata()[4:]).all()
        assert artists[-1].get_marker() == marker


def test_names_of_lines_go_where_there_is_room():
    curves = {"tanh": survival(outcomes(seed=1, diverged=3)), "relu": survival(outcomes(seed=2, share=0.4))}
    for size, beside in (((1000, 620), True), ((480, 620), False)):
        ax, _ = pictured(lambda ax, theme: studies.survival_curves(curves, ax, theme=theme), size=size)
        ax.figure.canvas.draw()
        legend = ax.get_legend()
        box, of = legend.get_window_extent(), ax.get_window_extent()
        assert (box.x0 >= of.x1) == beside
        assert (box.y0 >= of.y1) != beside
        assert legend.get_texts()[0].get_text().startswith("tanh\n" if beside else "tanh: ")


def test_ridges_mark_the_median_with_what_diverged_as_worst():
    values = np.append(np.linspace(1, 9, 9), [np.nan] * 4)
    ax, artists = pictured(
        lambda ax, theme: studies.ridges({"tanh": values, "relu": np.full(4, np.nan)}, ax, theme=theme)
    )
    assert artists[-1].get_xdata() == [7, 7]
    assert [text.get_text() for text in ax.texts] == ["13 networks\n4 diverged", "4 networks\n4 diverged"]


def test_cells_say_their_value_and_of_how_many():
    ax, [image] = pictured(PICTURES["grid (3, 3)"])
    words = [text.get_text() for text in ax.texts]
    assert words[0] == "0.0 %\nn = 1,000\n12 diverged"
    assert words[-1] == "no networks"
    assert image.get_array().mask.sum() == 1


def test_colours_are_explained_where_cells_have_no_room_for_values():
    for size, shape, form, bar in (
        ((1000, 620), (3, 3), "0.0 %\nn = 1,000\n12 diverged", False),
        ((480, 620), (6, 5), "0.0 %", False),
        ((480, 620), (16, 12), "", True),
    ):
        ax, _ = pictured(lambda ax, theme, s=shape: studies.setting_grid(grid(*s), ax, form=".1%"), size=size)
        assert (ax.texts[0].get_text() if ax.texts else "") == form
        assert (len(ax.figure.axes) == 2) == bar
        assert ("n = 0 to 1,000" in ax.get_title("left")) == ("\n" not in form)


def test_lines_go_through_the_settings():
    columns = {"rate": [0.001, 0.01, 0.1, 1.0, 0.2, 0.3, 0.4, 0.5, 0.6], "kind": list("aabbaabba")}
    result = np.append(np.linspace(0.1, 1, 8), np.nan)
    ax, [known, lost] = pictured(lambda ax, theme: studies.parallel_coordinates(columns, result, ax, theme=theme))
    starts = sorted(float(line[0, 1]) for line in known.get_segments())
    np.testing.assert_allclose(starts[:3], [0, 1 / 3, 2 / 3], atol=1e-6)
    assert len(lost.get_segments()) == 1
    assert ax.get_title("left") == "9 networks by final loss"
    many, _ = pictured(PICTURES["coordinates 3000"])
    assert many.get_title("left") == "600 of 3,000 networks by final loss"


def test_each_network_has_a_tile_and_a_verdict():
    ax, [_, _, edges, *dots] = pictured(PICTURES["boundaries 30"])
    assert ax.get_title("left") == "30 networks: 10 right, 10 wrong, 10 diverged"
    assert sum(len(part.positions) for part in dots) == 20 * 40
    vertices = edges.get_path().vertices
    assert ((vertices >= 0) & (vertices <= 6)).all()
    # The first network's boundary is y = x - 0.5, in the tile at the upper left.
    first = vertices[(vertices < 0.91).all(axis=1)] / 0.9 * 2 - 1
    np.testing.assert_allclose(-first[:, 1], first[:, 0] - 0.5, atol=1e-6)
    crosses = [line for line in ax.lines if line.get_marker() == "X"]
    assert len(crosses) == 10

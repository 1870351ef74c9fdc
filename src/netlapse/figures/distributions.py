"""Distributions of all layers at one epoch, as violins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import offset_copy

from ..measures.distributions import LEVELS
from .panel import Corner, last_epoch, spines
from .shapes import EMPTY, Ticker, broken, text_width
from .theme import THEMES, TICK, Theme, style_axes

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..measures import Distributions
    from .theme import ThemeName

TITLES = {
    "weights": "Weights",
    "gradients": r"Gradients $\partial L/\partial W$",
    "layer_gradients": r"Gradients $\partial L/\partial z$",
    "pre_activations": "Pre-activations",
    "activations": "Activations",
}
_LABELS = {
    "weights": "weight",
    "gradients": r"$\partial L/\partial W$",
    "layer_gradients": r"$\partial L/\partial z$",
    "pre_activations": "pre-activation $z$",
    "activations": "activation",
}
# Each kind has one colour in all pictures, of the theme's series.
_SERIES = {"weights": 0, "gradients": 1, "layer_gradients": 1, "pre_activations": 4, "activations": 2}

_HALF = 0.42
_LINE = 14.0


class ViolinsPanel:
    """One violin for each layer: the smoothed distribution, its median, and a line from 5 to 95 % of the values.

    All are equally wide. What is exactly 0 is a bar of its own, as wide as its share, on a linear scale. Below stand
    the standard deviation and the share of zeros, where there is room. The scale is that of the whole run.
    """

    def __init__(self, ax: Axes, measure: Distributions, *, theme: Theme, title: str | None = None) -> None:
        self._log = measure.log
        layers, color = len(measure.layers), color_of(measure, theme)
        style_axes(ax, theme, title=TITLES[measure.kind] if title is None else title, ylabel=value_label(measure))
        ax.set(xlim=(-0.6, layers - 0.4), ylim=_limits(measure.edges))
        if measure.log:
            ax.set_yscale("log")
        else:
            ax.axhline(0, color=theme.line, linewidth=0.8, zorder=0.5)
        room = ax.bbox.width * 72 / cast("Figure", ax.figure).dpi / layers
        rows = ("std", "zeros") if room > _widest("0.0000") else ()
        _name_layers(ax, measure, room, 5 + _LINE * len(rows))
        self._violins = PathPatch(EMPTY, facecolor=color, edgecolor=color, alpha=0.65, linewidth=min(0.6, room / 25))
        ax.add_artist(self._violins)
        self._violins.set_clip_box(ax.bbox)
        self._zeros = ax.add_line(Line2D([], [], color=color, linewidth=3, solid_capstyle="butt"))
        self._spread = ax.add_line(Line2D([], [], color=theme.ink, linewidth=min(1, room / 15), solid_capstyle="butt"))
        self._medians = ax.add_line(Line2D([], [], color=theme.ink, linewidth=2.2, solid_capstyle="butt"))
        self._broken = ax.add_line(
            Line2D(
                [], [], color=theme.wrong, linestyle="", marker="X", markersize=10, transform=ax.get_xaxis_transform()
            )
        )
        self._rows = [_row(ax, theme, name, number, layers) for number, name in enumerate(rows)]
        self._corner = Corner(ax, theme)
        self.artists: list[Artist] = [
            self._violins,
            self._zeros,
            self._spread,
            self._medians,
            self._broken,
            *(ticker for row in self._rows for ticker in row),
            self._corner,
            *spines(ax),
        ]

    def show(self, measure: Distributions) -> None:
        """Show the distributions at its one frame."""
        outlines = [
            _outline(number, edges, density, log=self._log)
            for number, (edges, density) in enumerate(zip(measure.edges, measure.densities[0], strict=True))
            if density.any()
        ]
        self._violins.set_path(Path.make_compound_path(*outlines) if outlines else EMPTY)
        low, median, high = measure.quantiles[0][:, [LEVELS.index(level) for level in (0.05, 0.5, 0.95)]].T
        places = np.arange(float(len(low)))
        _segments(self._spread, (places, places), (low, high))
        _segments(self._medians, (places - 0.15, places + 0.15), (median, median))
        zeros = np.nan_to_num(measure.zeros[0]) * (0.0 if self._log else _HALF)
        _segments(self._zeros, (places - zeros, places + zeros), (0 * zeros, 0 * zeros))
        unknown = measure.not_finite[0]
        [places_of_unknown] = np.nonzero(unknown)
        self._broken.set_data(places_of_unknown, np.full(len(places_of_unknown), 0.5))
        texts = [*map(_short, measure.deviations[0])], [*map(_percent, measure.zeros[0])]
        for row, of_layers in zip(self._rows, texts[: len(self._rows)], strict=True):
            for ticker, text in zip(row, of_layers, strict=True):
                ticker.set_text(text)
        outside = float(np.nan_to_num(measure.outside[0]).max())
        notes = [f"{unknown.sum():,} not finite"] if unknown.any() else []
        # The magnitudes nearest to 0 are outside by intent.
        notes += [f"up to {_percent(outside)} outside"] if outside > (0.02 if self._log else 0.001) else []
        self._corner.set_choice(", ".join(notes), *notes[:1], "".join(notes[:1]).removeprefix("up to "))


def distributions(
    measure: Distributions,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    title: str | None = None,
) -> list[Artist]:
    """Draw the distributions of all layers at one epoch, the last by default. Returns the artists."""
    panel = ViolinsPanel(ax, measure, theme=THEMES[theme], title=title)
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def color_of(measure: Distributions, theme: Theme) -> str:
    """The colour of what is distributed."""
    return theme.series[_SERIES[measure.kind]]


def short_name(layer: str) -> str:
    """The name of a layer, its middle left out if it is long."""
    return layer if len(layer) <= 18 else f"{layer[:8]}\N{HORIZONTAL ELLIPSIS}{layer[-9:]}"


def value_label(measure: Distributions) -> str:
    """What is distributed, and of which examples if not of all."""
    label = f"|{_LABELS[measure.kind]}|" if measure.log else _LABELS[measure.kind]
    seen, total = measure.examples or (0, 0)
    return label if seen == total else f"{label}\n({seen:,} of {total:,} examples)"


def centres(edges: NDArray[Any], *, log: bool) -> NDArray[Any]:
    """The middles of the bins, on their scale."""
    return np.sqrt(edges[..., :-1] * edges[..., 1:]) if log else (edges[..., :-1] + edges[..., 1:]) / 2


def _outline(place: int, edges: NDArray[Any], density: NDArray[Any], *, log: bool) -> Path:
    [filled] = np.nonzero(density)
    inside = slice(filled[0], filled[-1] + 1)
    heights = np.concatenate(
        [edges[filled[:1]], centres(edges, log=log)[inside], edges[filled[-1:] + 1]],
    )
    halves = _HALF * np.concatenate([density[filled[:1]], density[inside], density[filled[-1:]]])
    right, left = np.stack([place + halves, heights], axis=1), np.stack([place - halves, heights], axis=1)
    return Path(np.concatenate([right, left[::-1], right[:1]]), closed=True)


def _segments(line: Line2D, x: tuple[Any, Any], y: tuple[Any, Any]) -> None:
    """From (x[0], y[0]) to (x[1], y[1]), for each place."""
    ends = np.stack([np.stack(x, axis=1), np.stack(y, axis=1)], axis=2)
    line.set_data(*broken(ends).T)


def _limits(edges: Float[np.ndarray, "layer edge"]) -> tuple[float, float]:
    known = edges[np.isfinite(edges)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    return (low, high) if high > low else (-1.0, 1.0)


def _name_layers(ax: Axes, measure: Distributions, room: float, pad: float) -> None:
    """Names below the violins: level where they fit, upright where they do not, numbers where those do not either."""
    names = [*map(short_name, measure.layers)]
    ax.tick_params(axis="x", length=0, pad=pad)
    if max(map(_widest, names)) < room:
        ax.set_xticks(range(len(names)), names)
    elif room > 1.3 * TICK:
        ax.set_xticks(range(len(names)), names, rotation=90)
    else:
        wanted = _widest(f"{len(names)}") / room
        every = next((step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if step >= wanted), 1000)
        numbers = range(every, len(names) + 1, every)
        ax.set_xticks([number - 1 for number in numbers], [str(number) for number in numbers])
        ax.set_xlabel(f"layer, 1 is {names[0]}, {len(names)} is {names[-1]}")


def _widest(text: str) -> float:
    return text_width(text, TICK) + 4


def _row(ax: Axes, theme: Theme, name: str, number: int, layers: int) -> list[Ticker]:
    """A changing text below each violin, with a name at the left."""
    down = -_LINE * (number + 1)
    label = _ticker(ax, (0, 0), down, theme.muted, "right", left=7)
    label.set_text(name)
    x = (np.arange(layers) + 0.6) / (layers + 0.2)
    return [_ticker(ax, (place, 0), down, theme.ink, "center") for place in x.tolist()]


def _ticker(ax: Axes, place: tuple[float, float], up: float, color: str, align: Any, *, left: float = 0) -> Ticker:
    transform = offset_copy(ax.transAxes, cast("Figure", ax.figure), x=-left, y=up, units="points")
    ticker = Ticker(*place, transform=transform, size=TICK, color=color, align=align)
    ax.add_artist(ticker)
    ticker.set_clip_on(False)
    return ticker


def _short(value: float) -> str:
    """Two digits, in little room."""
    text = f"{value:.2g}" if np.isfinite(value) else "\N{EN DASH}"
    if len(text) > 5:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text


def _percent(share: float) -> str:
    return "\N{EN DASH}" if not np.isfinite(share) else f"{100 * share:.2g} %" if share < 0.995 else "100 %"

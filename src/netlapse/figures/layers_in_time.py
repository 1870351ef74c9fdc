"""Distributions and statistics of layers over the epochs of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..measures.distributions import LEVELS
from .distributions import TITLES, centres, color_of, short_name, value_label
from .panel import last_epoch, spines
from .theme import LABEL, THEMES, TICK, Theme, blend, style_axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform
    from numpy.typing import NDArray

    from ..measures import Distributions
    from .theme import ThemeName

Statistic = Literal["deviation", "zeros", "norm", "rms"]
_STATISTICS = {
    "deviation": "standard deviation",
    "zeros": "share of exact zeros",
    "norm": "norm (L2)",
    "rms": "root mean square",
}

_MOST_RIDGES = 25
_RIDGE = 2.5
_MOST_NAMES = 6


class BandsPanel:
    """Between which values 98, 90 and 50 % of one layer's lie at each epoch, their median, and a cursor."""

    def __init__(self, ax: Axes, measure: Distributions, layer: str, *, theme: Theme) -> None:
        place, color = measure.layers.index(layer), color_of(measure, theme)
        style_axes(ax, theme, xlabel="epoch", ylabel=value_label(measure))
        ax.set_title(short_name(layer), loc="left", fontsize=LABEL, color=theme.ink)
        x, quantiles = _in_time(measure, measure.quantiles[:, place])
        for low, high, share in ((0.01, 0.99, 0.18), (0.05, 0.95, 0.38), (0.25, 0.75, 0.65)):
            below, above = quantiles[:, LEVELS.index(low)], quantiles[:, LEVELS.index(high)]
            ax.fill_between(x, below, above, color=blend(theme.surface, color, share), linewidth=0)
        ax.plot(x, quantiles[:, LEVELS.index(0.5)], color=theme.ink, linewidth=1.5)
        ax.set_xlim(x[0], x[-1])
        if measure.log:
            ax.set_yscale("log")
        broken = measure.epochs[measure.not_finite[:, place] > 0]
        _mark(ax, broken, np.full(len(broken), 0.03), ax.get_xaxis_transform(), theme)
        ax.set_xlabel(_epochs_label(broken))
        self._cursor = _cursor(ax, theme)
        self.artists: list[Artist] = [self._cursor, *spines(ax)]

    def show(self, measure: Distributions) -> None:
        """Move the cursor to the epoch of its one frame."""
        self._cursor.set_xdata([measure.epochs[0]] * 2)


class RidgesPanel:
    """The distribution of one layer at some epochs, one ridge below the other, and that of the epoch shown as a line.

    All ridges are equally high; what is exactly 0 is left out.
    """

    def __init__(self, ax: Axes, measure: Distributions, layer: str, *, theme: Theme) -> None:
        self._place, self._log = measure.layers.index(layer), measure.log
        style_axes(ax, theme, xlabel=value_label(measure), ylabel="epoch")
        ax.set_title(short_name(layer), loc="left", fontsize=LABEL, color=theme.ink)
        chosen = np.unique(
            np.linspace(0, len(measure.epochs) - 1, min(_MOST_RIDGES, len(measure.epochs))).round().astype(int)
        )
        self._epochs: NDArray[Any] = measure.epochs[chosen]
        edges = measure.edges[self._place]
        x = self._x = centres(edges, log=measure.log)
        base = np.arange(len(chosen))[:, None] + np.zeros(len(x))
        ridges = base - _RIDGE * measure.densities[chosen, self._place]
        known = np.isfinite(x).all()
        if known:
            # From the back to the front, each hiding a part of the one behind.
            ax.add_collection(
                PolyCollection(
                    [
                        np.concatenate([np.stack([x, r], 1), np.stack([x, b], 1)[::-1]])
                        for r, b in zip(ridges, base, strict=True)
                    ],
                    facecolors=depth_colors(len(chosen), theme),
                    edgecolors=theme.surface,
                    linewidths=0.8,
                ),
                autolim=False,
            )
            ax.set_xlim(edges[0], edges[-1])
        if measure.log:
            ax.set_xscale("log")
        ax.set_ylim(len(chosen) - 0.7, -_RIDGE - 0.2)
        room = int(ax.bbox.height * 72 / cast("Figure", ax.figure).dpi / (2.5 * TICK))
        ticks = np.unique(np.linspace(0, len(chosen) - 1, min(max(room, 2), 7, len(chosen))).round().astype(int))
        ax.set_yticks(ticks, [f"{epoch:g}" for epoch in self._epochs[ticks]])
        [broken] = np.nonzero(measure.not_finite[chosen, self._place])
        _mark(ax, np.full(len(broken), 0.5), broken, ax.get_yaxis_transform(), theme)
        ax.set_ylabel(_epochs_label(broken))
        self._now = ax.add_line(Line2D([], [], color=theme.wrong, linewidth=1.8))
        self.artists: list[Artist] = [self._now, *spines(ax)]

    def show(self, measure: Distributions) -> None:
        """Show the distribution at its one frame."""
        row = np.interp(float(measure.epochs[0]), self._epochs, np.arange(len(self._epochs)))
        density: NDArray[Any] = measure.densities[0, self._place]
        self._now.set_data(self._x, np.where(density > 0, row - _RIDGE * density, np.nan))


class StatisticsPanel:
    """One number of each layer over the epochs, coloured by depth, and a cursor."""

    def __init__(self, ax: Axes, measure: Distributions, *, statistic: Statistic, theme: Theme) -> None:
        if statistic not in get_args(Statistic):
            raise ValueError(f"there is no statistic {statistic!r}; there are {', '.join(get_args(Statistic))}")
        style_axes(ax, theme, title=f"{TITLES[measure.kind]} by layer", xlabel="epoch", ylabel=_STATISTICS[statistic])
        x, values = _in_time(measure, statistic_of(measure, statistic))
        colors = depth_colors(len(measure.layers), theme)
        lines = [np.stack([x, column], axis=1) for column in values.T]
        ax.add_collection(LineCollection(lines, colors=colors, linewidths=1.6), autolim=False)
        ax.set_xlim(x[0], x[-1])
        known = values[np.isfinite(values) & (values > 0)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (1.0, 1.0)
        if statistic != "zeros" and high > 30 * low:
            ax.set_yscale("log")
            ax.set_ylim(low / 1.3, high * 1.3)
        else:
            ax.set_ylim(0, 1.02 if statistic == "zeros" else 1.05 * high)
        named: list[int] = np.unique(
            np.linspace(0, len(lines) - 1, min(_MOST_NAMES, len(lines))).round().astype(int)
        ).tolist()
        ax.legend(
            handles=[
                Line2D([], [], color=colors[k], linewidth=2.5, label=short_name(measure.layers[k])) for k in named
            ],
            title=None if len(named) == len(lines) else f"{len(named)} of {len(lines)} layers",
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            fontsize=TICK,
            title_fontsize=TICK,
            labelcolor=theme.ink,
            handlelength=1.2,
            handletextpad=0.5,
            alignment="left",
        ).get_title().set_color(theme.muted)
        broken = measure.epochs[(measure.not_finite > 0).any(axis=1)]
        _mark(ax, broken, np.full(len(broken), 0.03), ax.get_xaxis_transform(), theme)
        ax.set_xlabel(_epochs_label(broken))
        self._cursor = _cursor(ax, theme)
        self.artists: list[Artist] = [self._cursor, *spines(ax)]

    def show(self, measure: Distributions) -> None:
        """Move the cursor to the epoch of its one frame."""
        self._cursor.set_xdata([measure.epochs[0]] * 2)


def distribution_bands(
    measure: Distributions, ax: Axes, *, layer: str, epoch: float | None = None, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw the quantiles of one layer over the epochs, a cursor at one of them. Returns the artists that move."""
    panel = BandsPanel(ax, measure, layer, theme=THEMES[theme])
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def distribution_ridges(
    measure: Distributions, ax: Axes, *, layer: str, epoch: float | None = None, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw the distributions of one layer at some epochs, one marked. Returns the artists that move."""
    panel = RidgesPanel(ax, measure, layer, theme=THEMES[theme])
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def layer_statistics(
    measure: Distributions,
    ax: Axes,
    *,
    statistic: Statistic = "deviation",
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw one number of each layer over the epochs: "deviation", "zeros", "norm" or "rms".

    Returns the artists that move. Raises ValueError for other statistics.
    """
    panel = StatisticsPanel(ax, measure, statistic=statistic, theme=THEMES[theme])
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def statistic_of(measure: Distributions, statistic: Statistic) -> NDArray[Any]:
    """The statistic of each layer, (frame, layer)."""
    columns = {
        "deviation": measure.deviations,
        "zeros": measure.zeros,
        "norm": measure.norms,
        "rms": measure.rms,
    }
    return columns[statistic]


def depth_colors(count: int, theme: Theme) -> list[Any]:
    """Colours from the first to the last, all of them visible on the theme's surface."""
    low, high = (0.05, 0.85) if theme is THEMES["light"] else (0.3, 1.0)
    return list(cast("Any", colormaps["viridis"])(np.linspace(low, high, count)))


def _in_time(measure: Distributions, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Epochs and values to draw; a run of one frame is as wide as an epoch."""
    if len(measure.epochs) > 1:
        return measure.epochs, values
    return measure.epochs[0] + np.array([-0.5, 0.5]), np.repeat(values, 2, axis=0)


def _mark(ax: Axes, x: NDArray[Any], y: NDArray[Any], transform: Transform, theme: Theme) -> None:
    """Crosses where there are values that are not finite."""
    if len(x):
        marks = Line2D(x, y, color=theme.wrong, linestyle="", marker="X", markersize=5, transform=transform)
        marks.set(clip_on=False, in_layout=False)
        ax.add_line(marks)


def _epochs_label(broken: NDArray[Any]) -> str:
    return "epoch (\N{MULTIPLICATION X} NaN)" if len(broken) else "epoch"


def _cursor(ax: Axes, theme: Theme) -> Line2D:
    """A line at the epoch shown. Epochs are counted in whole numbers."""
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    return ax.axvline(0, color=theme.wrong, linewidth=1.5, clip_on=False)

"""A run's way through weight space, alone or on the loss surface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib import colormaps
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from .panel import last_epoch, spines
from .shapes import Ticker
from .theme import LABEL, THEMES, TICK, Theme, style_axes

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import LossSurface, Trajectory, WeightPlane
    from .theme import ThemeName

_COLORS = "viridis"
_MOST_LEVELS = 12
# Share of the width of the Axes within which the names of both ends would touch.
_CLOSE = 0.25
# On the surface's colours only white with a dark edge is seen everywhere, in either theme.
_PATH, _EDGE = "#FFFFFF", "#14171C"


class TrajectoryPanel:
    """The trajectory of a run in a plane: what is past strongly, all of it faintly, with its start and its end."""

    def __init__(self, ax: Axes, whole: Trajectory, *, theme: Theme) -> None:
        _plane_axes(ax, whole.plane, theme, "Trajectory")
        _fit(ax, [whole])
        self._path = _Path(ax, whole, theme.series[0], theme.surface, dots=theme.ink, now=theme.series[1])
        self._path.name_ends(ax, theme.ink, theme.surface)
        self._distance = _ticker(ax, theme)
        self.artists: list[Artist] = [*self._path.artists, self._distance, *spines(ax)]

    def show(self, now: Trajectory) -> None:
        """Show the way up to the one frame of `now`, and how far from the plane its weights are."""
        self._path.show(now)
        self._distance.set_text(f"{_number(float(now.distance[0]))} away from the plane")


class LossSurfacePanel:
    """Contours of the loss on a plane of weight space, the trajectory projected on it, and both losses of the frame."""

    def __init__(self, ax: Axes, surface: LossSurface, whole: Trajectory, *, theme: Theme) -> None:
        _contours(ax, surface, theme)
        self._surface = surface
        self._path = _Path(ax, whole, _PATH, _EDGE, dots=_EDGE, now=theme.series[1])
        self._path.name_ends(ax, _PATH, _EDGE)
        self._losses = _band(ax, theme)
        self.artists: list[Artist] = [*self._path.artists, self._losses, *spines(ax)]

    def show(self, now: Trajectory) -> None:
        """Show the way up to the one frame of `now`, the loss with its weights, and that of the point drawn."""
        self._path.show(now)
        drawn = _number(float(self._surface.under(now.coordinates)[0]))
        true = f"loss {_number(float(now.loss[0]))}, " if now.loss is not None else ""
        self._losses.set_text(f"{true}at dot {drawn}")


class _Path:
    """One run's line, with a mark where it is now."""

    def __init__(self, ax: Axes, whole: Trajectory, color: str, edge: str, *, dots: str, now: str) -> None:
        self._whole = whole
        x, y = whole.coordinates.T
        ax.add_line(Line2D(x, y, color=edge, linewidth=2.4, alpha=0.35, zorder=3))
        ax.add_line(Line2D(x, y, color=color, linewidth=1.0, alpha=0.8, zorder=3))
        found = whole.coordinates[np.isfinite(x)]
        self._ends = found[[0, -1]] if len(found) else found
        for marker, size, end in zip("Ds", (7, 7.5), self._ends, strict=False):
            ax.add_line(Line2D(end[:1], end[1:], **_mark(marker, color, edge, size), zorder=4))
        self._past = [
            ax.add_line(Line2D([], [], color=each, linewidth=width, zorder=3.5, solid_joinstyle="round"))
            for each, width in ((edge, 4.2), (color, 2.2))
        ]
        # Dots further apart are frames between which it moved faster.
        self._past[1].set(marker=".", markersize=5, markerfacecolor=dots, markeredgewidth=0)
        self._now = ax.add_line(Line2D([], [], **_mark("o", now, edge, 8), zorder=5))
        self.artists: list[Artist] = [*self._past, self._now]

    def name_ends(self, ax: Axes, color: str, edge: str) -> None:
        # Both above their marks; to different sides where they lie close together.
        span = float(np.ptp(ax.get_xlim()))
        apart = len(self._ends) and np.linalg.norm(np.ptp(self._ends, axis=0)) > _CLOSE * span
        for name, end, side in zip(("start", "end"), self._ends, (1, 1 if apart else -1), strict=False):
            ax.annotate(
                name,
                end,
                (0, 8 * side),
                textcoords="offset points",
                ha="center",
                va="bottom" if side > 0 else "top",
                fontsize=LABEL,
                color=color,
                path_effects=[withStroke(linewidth=2.5, foreground=edge)],
                zorder=4.5,
            )

    def show(self, now: Trajectory) -> None:
        past = self._whole.epochs < now.epochs[0]
        points = np.concatenate([self._whole.coordinates[past], now.coordinates])
        for line in self._past:
            line.set_data(*points.T)
        self._now.set_data(*now.coordinates.T)


def _mark(marker: str, color: str, edge: str, size: float) -> dict[str, Any]:
    return {
        "marker": marker,
        "markersize": size,
        "markerfacecolor": color,
        "markeredgecolor": edge,
        "markeredgewidth": 1.4,
        "linestyle": "none",
    }


def _legend(ax: Axes, theme: Theme, colors: dict[str, str]) -> None:
    ax.legend(
        handles=[Line2D([], [], color=color, marker="o", markersize=7, label=name) for name, color in colors.items()],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(colors),
        frameon=False,
        fontsize=LABEL,
        labelcolor=theme.ink,
        borderpad=0.1,
        borderaxespad=0.3,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=1.0,
    )


def _plane_axes(ax: Axes, plane: WeightPlane, theme: Theme, title: str) -> None:
    names = ("1st principal direction", "2nd principal direction")
    if plane.kind == "random":
        names = ("random direction 1", "random direction 2")
    labels = [f"{name}\n({_percent(share)} of movement)" for name, share in zip(names, plane.shares, strict=True)]
    style_axes(ax, theme, title=title, xlabel=labels[0], ylabel=labels[1])
    # One scale for both, so that distances are those of weight space.
    ax.set_aspect("equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))


def _fit(ax: Axes, ways: Sequence[Trajectory]) -> None:
    points = np.concatenate([way.coordinates for way in ways])
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    middle, half = (low + high) / 2, 0.65 * float((high - low).max())
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))


def _contours(ax: Axes, surface: LossSurface, theme: Theme) -> None:
    _plane_axes(ax, surface.plane, theme, "Loss surface")
    ax.set(xlim=surface.x[[0, -1]], ylim=surface.y[[0, -1]])
    finite = np.isfinite(surface.losses)
    ax.set_facecolor(theme.line)
    notes = ["filter-normalised"] if surface.plane.kind == "random" else []
    notes += [f"BatchNorm statistics of epoch {surface.plane.epoch:g}"] if surface.plane.keeps_state else []
    notes += [] if finite.all() else ["grey: no finite loss"]
    ax.set_xlabel("\n".join([ax.get_xlabel(), *notes]))
    if not finite.any():
        return
    shown = np.ma.masked_array(surface.losses, ~finite)
    steps = levels(float(shown.min()), float(shown.max()))
    colors = colormaps[_COLORS](np.linspace(0, 1, len(steps) + 1))
    # What lies between grid points is nearer to straight in the scale that is drawn.
    scale: Any = np.log if steps[0] > 0 and shown.min() > 0 else np.asarray
    place = (surface.x, surface.y, scale(shown), scale(steps))
    filled = ax.contourf(*place, colors=list(colors), extend="both", zorder=1)
    ax.contour(*place, colors=[_EDGE], linewidths=0.6, alpha=0.45, linestyles="solid", zorder=1.5)
    bar = cast("Any", ax.figure).colorbar(filled, cax=ax.inset_axes((1.03, 0, 0.045, 1)), ticks=scale(steps))
    bar.ax.set_yticklabels([f"{step:.6g}" for step in steps])
    bar.ax.tick_params(which="both", colors=theme.muted, labelcolor=theme.muted, labelsize=TICK)
    bar.outline.set_edgecolor(theme.line)
    bar.set_label(loss_label(surface.loss, surface.split), fontsize=LABEL, color=theme.ink)


def loss_label(loss: str, split: str) -> str:
    """A loss with its unit, and of which examples it is the mean, in lines short enough for the side of a panel."""
    unit = " (nats)" if "cross-entropy" in loss else ""
    examples = "training" if split == "train" else split
    return "\n".join([*wrap(f"{loss}{unit}", 27, break_on_hyphens=False), f"{examples} examples"])


def levels(low: float, high: float) -> Float[np.ndarray, " level"]:
    """Round values between two losses, at most twelve: evenly many in each power of ten where they span several."""
    if low > 0 and high > 3 * low:
        powers = np.power(10.0, range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1))
        for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            found = np.outer(powers, steps).ravel()
            found = found[(found > low) & (found < high)]
            if len(found) <= _MOST_LEVELS:
                return found
        return found[:: -(-len(found) // _MOST_LEVELS)]
    found = np.array(MaxNLocator(_MOST_LEVELS - 2).tick_values(low, high))
    inside = found[(found > low) & (found < high)]
    return inside if len(inside) else np.array([low])


def _band(ax: Axes, theme: Theme) -> Ticker:
    """A strip at the bottom that text can be read on whatever the colours are."""
    strip = Rectangle((0, 0), 1, 0.075, transform=ax.transAxes, facecolor=theme.surface, alpha=0.82, zorder=5.5)
    ax.add_patch(strip)
    return _ticker(ax, theme)


def _ticker(ax: Axes, theme: Theme) -> Ticker:
    text = Ticker(0.015, 0.022, transform=ax.transAxes, size=LABEL, color=theme.ink, align="left")
    ax.add_artist(text)
    return text


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _number(loss: float) -> str:
    return f"{loss:.3g}" if np.isfinite(loss) else "not a number"


def _several(
    ax: Axes, ways: Sequence[Trajectory], names: Sequence[str], epoch: float | None, theme: ThemeName, surface: bool
) -> list[Artist]:
    """One line for each run, in a colour of its own."""
    colors = THEMES[theme]
    edge = _PATH if surface else colors.surface
    series = [colors.series[number % len(colors.series)] for number in range(len(ways))]
    paths = [
        _Path(ax, way, color, edge, dots=edge if surface else colors.ink, now=color)
        for way, color in zip(ways, series, strict=True)
    ]
    for path, way in zip(paths, ways, strict=True):
        path.show(way.at(last_epoch(way.epochs, epoch)))
    if names:
        _legend(ax, colors, dict(zip(names, series, strict=True)))
    return [*(artist for path in paths for artist in path.artists), *spines(ax)]


def trajectory(
    ways: Trajectory | Sequence[Trajectory],
    ax: Axes,
    *,
    names: Sequence[str] = (),
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw the trajectory of a run up to an epoch, the last by default; or those of several runs in one plane."""
    if not isinstance(ways, Sequence):
        panel = TrajectoryPanel(ax, ways, theme=THEMES[theme])
        panel.show(ways.at(last_epoch(ways.epochs, epoch)))
        return panel.artists
    _plane_axes(ax, ways[0].plane, THEMES[theme], "Trajectories")
    _fit(ax, ways)
    return _several(ax, ways, names, epoch, theme, surface=False)


def loss_surface(
    surface: LossSurface,
    ways: Trajectory | Sequence[Trajectory],
    ax: Axes,
    *,
    names: Sequence[str] = (),
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw the surface with a trajectory up to an epoch, the last by default; or with those of several runs."""
    if not isinstance(ways, Sequence):
        panel = LossSurfacePanel(ax, surface, ways, theme=THEMES[theme])
        panel.show(ways.at(last_epoch(ways.epochs, epoch)))
        return panel.artists
    _contours(ax, surface, THEMES[theme])
    return _several(ax, ways, names, epoch, theme, surface=True)

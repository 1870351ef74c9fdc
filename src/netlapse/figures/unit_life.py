"""The life of all units of a layer: for how many examples each is active, from epoch to epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from .panel import last_epoch, spines
from .shapes import text_width
from .theme import LABEL, THEMES, TICK, style_axes

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import UnitLife
    from .theme import Theme, ThemeName


class LifePanel:
    """Units from top to bottom, epochs from left to right; dead stretches are crossed out, a line marks the epoch."""

    def __init__(self, ax: Axes, life: UnitLife, *, theme: Theme) -> None:
        shares = life.active if life.saturated is None else life.saturated
        name = f"layer {life.layer}" if life.layer.replace(".", "").isdecimal() else life.layer
        style_axes(ax, theme, title=f"Life of {name}: {life_in_words(life)}", xlabel="epoch", ylabel="unit")
        units = shares.shape[1]
        colors = LinearSegmentedColormap.from_list("", [theme.surface, theme.negative]).with_extremes(bad=theme.line)
        edges = cast("Any", edges_of(life.epochs))
        cells, rows = cast("Any", (np.ma.masked_invalid(shares.T), np.arange(units + 1) - 0.5))
        image = ax.pcolormesh(edges, rows, cells, cmap=colors, vmin=0, vmax=1, rasterized=True)
        ax.set(xlim=(edges[0], edges[-1]), ylim=(units - 0.5, -0.5))
        height = 72 / ax.figure.dpi * float(ax.bbox.height)
        ax.yaxis.set_major_locator(MaxNLocator(min(units, 8), integer=True, min_n_ticks=1))
        ax.plot(*_dead_lines(life, edges), color=theme.wrong, linewidth=_width(ax, units), solid_capstyle="butt")
        bar = ax.figure.figure.colorbar(image, ax=ax, pad=0.02, aspect=14)
        what = "active" if life.saturated is None else "saturated"
        words = f"share of examples {what}"
        words = words if text_width(words, LABEL) < height else f"share {what}"
        bar.set_label(words, fontsize=LABEL, color=theme.ink)
        bar.set_ticks([0, 0.5, 1])
        bar.ax.tick_params(colors=theme.muted, labelcolor=theme.muted, labelsize=TICK)
        cast("Any", bar.outline).set_edgecolor(theme.line)
        self._cursor = ax.axvline(life.epochs[0], color=theme.ink, linewidth=1.4, zorder=4)
        self.artists: list[Artist] = [self._cursor, *spines(ax)]

    def show(self, epoch: float) -> None:
        """Move the line to this epoch."""
        self._cursor.set_xdata([epoch, epoch])


def unit_life(life: UnitLife, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light") -> list[Artist]:
    """Draw the life of a layer's units, with a mark at one epoch, the last by default. Returns what changes with it."""
    panel = LifePanel(ax, life, theme=THEMES[theme])
    panel.show(last_epoch(life.epochs, epoch))
    return panel.artists


def life_in_words(life: UnitLife) -> str:
    """How many units of a layer are dead in the end."""
    units = life.active.shape[1]
    if np.isnan(life.active[-1]).any():
        return "weights have diverged"
    if not life.can_die:
        return f"{life.activation or 'linear'} never dies"
    return f"{int(np.sum(life.dead[-1]))} of {units} units dead in the end"


def unit_in_words(life: UnitLife, unit: int) -> str:
    """The life of one unit in words; "" for one that is never dead."""
    stretches = life.dead_stretches(unit)
    if not stretches:
        return ""
    start, stop = stretches[-1]
    born = start == life.epochs[0]
    if stop is None:
        last = "born dead" if born else f"died at epoch {start:g}"
    else:
        last = f"{'born dead' if born else f'dead at epoch {start:g}'}, revived at {stop:g}"
    return last if len(stretches) == 1 else f"dead {len(stretches)} times, {last}"


def edges_of(epochs: Float[np.ndarray, " frame"]) -> Float[np.ndarray, " edge"]:
    """Where the cell of each frame begins and ends: halfway between frames."""
    if len(epochs) == 1:
        return np.array([epochs[0] - 0.5, epochs[0] + 0.5])
    middles = (epochs[1:] + epochs[:-1]) / 2
    return np.concatenate([epochs[:1], middles, epochs[-1:]])


def _dead_lines(
    life: UnitLife, edges: Float[np.ndarray, " edge"]
) -> tuple[Float[np.ndarray, " vertex"], Float[np.ndarray, " vertex"]]:
    """A horizontal line through every dead stretch, with gaps between them."""
    x: list[float] = []
    y: list[float] = []
    dead = np.concatenate([np.zeros((1, life.dead.shape[1])), life.dead, np.zeros((1, life.dead.shape[1]))])
    change = np.diff(dead, axis=0)
    for unit in range(life.dead.shape[1]):
        for start, stop in zip(np.flatnonzero(change[:, unit] > 0), np.flatnonzero(change[:, unit] < 0), strict=True):
            x += [edges[start], edges[stop], np.nan]
            y += [float(unit)] * 3
    return np.array(x), np.array(y)


def _width(ax: Axes, units: int) -> float:
    return min(2.5, max(0.6, 0.4 * 72 / ax.figure.dpi * float(ax.bbox.height) / units))

"""All hyper-parameters of many networks at once: one upright axis each, one line a network."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.patheffects import withStroke

from ..legends import room
from ..shapes import text_width
from ..theme import LABEL, THEMES, TICK, style_axes
from .marks import plural, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..theme import ThemeName

# More different values than these have an axis of numbers, not a place each.
_MOST_PLACES = 8
# More lines than these are one blot.
_MOST_LINES = 600
_WIDE = 30
# Points: in narrower Axes the colours are explained below.
_NARROW = 300.0


def parallel_coordinates(
    columns: Mapping[str, Sequence[object]],
    result: Float[np.ndarray, " network"],
    ax: Axes,
    *,
    quantity: str = "final loss",
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw a line for each network through its hyper-parameters, coloured by the result, NaN (diverged) as wrong.

    Networks that share a value are spread around it in the order of their result. Of more than 600, evenly chosen
    ones of all results are shown, and the title says so. Returns the lines.
    """
    colors = THEMES[theme]
    finite = result[np.isfinite(result)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    log = low > 0 and high > _WIDE * low
    scale = LogNorm(low, high) if log else Normalize(low, high if high > low else low + 1)
    order: NDArray[Any] = np.argsort(np.where(np.isfinite(result), result, np.inf), kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _MOST_LINES)).round().astype(int))]
    ranks = np.empty(len(order))
    ranks[order] = np.linspace(0, 1, len(order)) if len(order) > 1 else 0.5
    heights = np.empty((len(shown), len(columns)))
    of_all = "" if len(shown) == len(result) else f" of {len(result):,}"
    title = f"{len(shown):,}{of_all} networks" if of_all else plural(len(result))
    style_axes(ax, colors, title=f"{title} by {quantity}")
    beside = 0.95 * room(ax) / max(len(columns), 1)
    for place, (name, values) in enumerate(columns.items()):
        heights[:, place], labels = _axis(values, ranks, shown)
        ax.axvline(place, color=colors.muted, linewidth=1, zorder=3)
        ax.text(place, -0.05, _rows(name, beside), fontsize=LABEL, color=colors.ink, ha="center", va="top")
        for height, label in labels:
            words = ax.text(
                place - 0.02,
                height,
                short(label, 0.75 * beside),
                fontsize=TICK,
                color=colors.ink,
                ha="right",
                va="center",
            )
            words.set(zorder=4, path_effects=[withStroke(linewidth=3, foreground=colors.surface)])
    ax.set(xlim=(-0.35, max(len(columns) - 1, 0) + 0.15), ylim=(-0.02, 1.04), xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    # Only that part of the colours which can be seen on the surface.
    ends = (0.0, 0.88) if theme == "light" else (0.28, 1.0)
    shades: Any = ListedColormap(mpl.colormaps["viridis"](np.linspace(*ends, 256)))
    results = result[shown]
    lost = ~np.isfinite(results)
    tints = shades(scale(np.where(lost, low, results)))
    alpha = float(np.clip(80 / max(len(shown), 1), 0.3, 0.9))
    # In no order of the result: neither the good nor the bad lie on top.
    mixed = np.random.default_rng(0).permutation(len(shown))
    points = np.stack([np.broadcast_to(np.arange(len(columns)), heights.shape), heights], axis=-1)
    artists: list[Artist] = []
    for part, tint, dash in (
        (mixed[~lost[mixed]], None, "solid"),
        (mixed[lost[mixed]], colors.wrong, (0, (3, 2))),
    ):
        if len(part):
            lines = LineCollection(list(points[part]), colors=tint or tints[part], alpha=alpha, linewidths=1.0)
            lines.set_linestyle(cast("Any", dash))
            artists.append(ax.add_collection(lines, autolim=False))
    where = "right" if room(ax) > _NARROW else "bottom"
    bar = ax.figure.colorbar(ScalarMappable(scale, shades), ax=ax, location=where, pad=0.02, aspect=30)
    missing = int((~np.isfinite(result)).sum())
    bar.set_label(quantity + (f" (dashed: {missing:,} diverged)" if missing else ""), fontsize=LABEL, color=colors.ink)
    bar.ax.tick_params(which="both", colors=colors.muted, labelcolor=colors.muted, labelsize=TICK)
    bar.outline.set_visible(False)
    return artists


def _rows(name: str, most: float) -> str:
    """The name of a hyper-parameter in as many rows as its words need to be no wider than so many points."""
    rows = [""]
    for word in name.replace("_", " ").split():
        longer = f"{rows[-1]} {word}".strip()
        rows = [*rows[:-1], longer] if text_width(longer, LABEL) < most or not rows[-1] else [*rows, word]
    return "\n".join(short(row, 0.9 * most) for row in rows[:3])


def _axis(
    values: Sequence[object], ranks: NDArray[Any], shown: NDArray[Any]
) -> tuple[NDArray[Any], list[tuple[float, str]]]:
    """The heights from 0 to 1 of the networks shown, and the labels of the axis."""
    given = [None if value is None or value != value else value for value in values]
    distinct: list[Any] = list(dict.fromkeys(value for value in given if value is not None))
    numeric = all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in distinct)
    if numeric and len(distinct) > _MOST_PLACES and None not in given:
        numbers = np.array(given, float)
        low, high = float(numbers.min()), float(numbers.max())
        log = low > 0 and high > _WIDE * low
        ends = (log10(low), log10(high)) if log else (low, high)
        middle = (ends[0] + ends[1]) / 2
        labels = [(0.0, low), (0.5, 10**middle if log else middle), (1.0, high)]
        heights = ((np.log10(numbers) if log else numbers) - ends[0]) / (ends[1] - ends[0])
        return heights[shown], [(height, f"{value:.3g}") for height, value in labels]
    if numeric:
        distinct.sort()
    places: list[Any] = [*distinct, *([None] if None in given else [])]
    number_of = {value: k for k, value in enumerate(places)}
    at = np.array([number_of[given[k]] for k in shown])
    heights = (at + 0.5 + 0.5 * (ranks[shown] - 0.5)) / len(places)
    names = [
        "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value) for value in places
    ]
    return heights, [((k + 0.5) / len(places), name) for k, name in enumerate(names)]

"""The loss of thousands of networks over the epochs, by setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..legends import name_lines
from ..theme import THEMES, style_axes
from .marks import line_style, plural, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Bool, Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..theme import ThemeName

# Of more settings, only the inner bands: with both, none could be told from another.
_MOST_OUTER = 2
_WIDE = 30


def loss_bands(
    settings: Mapping[str, Float[np.ndarray, "network epoch"]],
    ax: Axes,
    *,
    quantity: str = "loss",
    diverged: Mapping[str, Bool[np.ndarray, " network"]] | None = None,
    higher_is_better: bool = False,
    epochs: Sequence[float] | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw the median over the networks of each setting, and the bands that hold half of them and nine in ten.

    A network that `diverged` is worse than any other from where its curve is NaN to the end; of others that is where
    their training has ended, and they count no more. If it is not said, all whose curves end in NaN have diverged.
    Where more than half have, the line ends at a cross. Returns the lines and bands.
    """
    colors = THEMES[theme]
    quantity = short(quantity)
    lost = {name: _lost(values, diverged[name] if diverged else None) for name, values in settings.items()}
    shown = {name: _quantiles(values, lost[name], higher_is_better) for name, values in settings.items()}
    last = max(parts.shape[1] for parts in shown.values())
    x: NDArray[Any] = np.asarray(range(last) if epochs is None else epochs, float)
    outer = len(settings) <= _MOST_OUTER
    used = np.concatenate([parts[:] if outer else parts[1:4] for parts in shown.values()], axis=1)
    finite = used[np.isfinite(used)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    bands = "50 % and 90 %" if outer else "50 %"
    title = f"{quantity[:1].upper()}{quantity[1:]}"
    style_axes(ax, colors, title=title, xlabel="epoch", ylabel=f"{quantity} (median; band: {bands})")
    if not higher_is_better and low > 0 and high > _WIDE * low:
        ax.set_yscale("log")
        bottom, top = low / 1.15, high * 1.15
    else:
        margin = 0.04 * (high - low or abs(high) or 1.0)
        bottom, top = (max(low - margin, 0.0) if low >= 0 else low - margin), high + margin
    ax.set_ylim(bottom, top)
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.set_xlim(float(x[0]), float(x[-1]) if x[-1] > x[0] else float(x[0]) + 1)
    artists: list[Artist] = []
    handles: list[Line2D] = []
    for number, (name, parts) in enumerate(shown.items()):
        style = line_style(number, colors)
        at = x[: parts.shape[1]]
        # What is worse than any number reaches to the edge of the picture.
        bounded = np.clip(parts, bottom, top)
        for lower, upper, alpha in ((0, 4, 0.13), (1, 3, 0.24))[0 if outer else 1 :]:
            artists.append(
                ax.fill_between(at, bounded[lower], bounded[upper], color=style["color"], alpha=alpha, linewidth=0)
            )
        median = np.where(np.isfinite(parts[2]), parts[2], np.nan)
        ends = np.flatnonzero(np.isfinite(median))[-1:]
        marker: dict[str, Any] = {"marker": "o" if len(at) == 1 else "X", "markersize": 8, "markevery": ends.tolist()}
        if len(at) > 1 and not (len(ends) and np.isinf(parts[2, ends[0] + 1 :]).any()):
            marker = {}
        line = Line2D(at, median, linewidth=2, label=_entry(name, settings[name], lost[name]), **style, **marker)
        artists.append(ax.add_line(line))
        handles.append(line)
    # The lowest at the bottom, as the curves are where they end.
    last_values = [next((float(value) for value in parts[2, ::-1] if value == value), 0.0) for parts in shown.values()]
    order = sorted(range(len(handles)), key=lambda k: -last_values[k])
    name_lines(ax, [handles[k] for k in order], colors)
    return artists


def _lost(values: NDArray[Any], diverged: NDArray[Any] | None) -> Bool[np.ndarray, "network epoch"]:
    """Which networks have diverged by which epoch."""
    ended = np.cumsum(~np.isnan(values[:, ::-1]), axis=1)[:, ::-1] == 0
    return np.isinf(values) | (ended & (True if diverged is None else diverged[:, None]))


def _quantiles(
    values: NDArray[Any], lost: Bool[np.ndarray, "network epoch"], higher_is_better: bool
) -> Float[np.ndarray, "5 epoch"]:
    worst = -np.inf if higher_is_better else np.inf
    ordered = np.sort(np.where(lost, worst, values).astype(float), axis=0)  # NaN comes last
    count = (~np.isnan(ordered)).sum(axis=0)
    # Of numbers that occur: between a number and infinity there is none.
    places = np.ceil(np.array([0.05, 0.25, 0.5, 0.75, 0.95])[:, None] * count).astype(int) - 1
    return np.take_along_axis(ordered, np.maximum(places, 0), axis=0)


def _entry(name: str, values: NDArray[Any], lost: Bool[np.ndarray, "network epoch"]) -> str:
    diverged, known = int(lost.any(axis=1).sum()), ~np.isnan(values) | lost
    # Those that are longest have all their epochs.
    ended = int((~known[:, np.flatnonzero(known.any(axis=0))[-1:]]).sum())
    counts = f", {diverged:,} diverged" if diverged else ""
    counts += f"\n{ended:,} ended early" if ended else ""
    return f"{short(name)}\n{plural(len(values))}{counts}"

"""How many networks are right by which epoch, by setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.transforms import offset_copy

from ..legends import name_lines, room
from ..shapes import text_width
from ..theme import LABEL, THEMES, TICK, style_axes
from .marks import line_style, longest, percent, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...study.survival import Survival
    from ..theme import Theme, ThemeName

# Points: where the numbers at risk begin below the Axes, and from row to row.
_BELOW, _ROW = 46.0, 14.5


def survival_curves(
    settings: Mapping[str, Survival], ax: Axes, *, waiting: bool = False, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw the share of networks that are right by each epoch, or with `waiting` those that are not yet.

    The bands are the pointwise confidence intervals. At the right are the shares at the end, in the order of the
    curves; below, how many networks are still watched and not right. Returns the curves and bands.
    """
    colors = THEMES[theme]
    last = max(curve.trained for curve in settings.values())
    confidence = next(iter(settings.values())).confidence
    style_axes(
        ax,
        colors,
        title="Networks that are not yet right" if waiting else "Networks that are right",
        xlabel="epoch",
        ylabel=f"share ({100 * confidence:g} % band)",
    )
    ax.set(xlim=(0, last), ylim=(0, 1.02))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    # Below each epoch stands a number.
    widest = max(text_width(f"{curve.n:,}", TICK) for curve in settings.values()) + TICK
    most = int(min(max(room(ax) / widest - 1, 1), 5))
    ticks = [
        tick for tick in MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]).tick_values(0, last) if 0 <= tick <= last
    ]
    ax.set_xticks(ticks)
    artists: list[Artist] = []
    entries: list[tuple[float, Line2D]] = []
    for number, (name, curve) in enumerate(settings.items()):
        style = line_style(number, colors)
        epochs = np.append(curve.epochs, max(last, curve.epochs[-1]))
        shown, low, high = (np.append(part, part[-1]) for part in (curve.waiting, curve.low, curve.high))
        # Beyond its own last epoch nothing is known of a setting that was trained for fewer.
        known = epochs <= curve.trained if curve.waiting[-1] > 0 else np.ones(len(epochs), bool)
        epochs, shown, low, high = (part[known] for part in (epochs, shown, low, high))
        if not waiting:
            shown, low, high = 1 - shown, 1 - high, 1 - low
        band = ax.fill_between(epochs, low, high, step="post", color=style["color"], alpha=0.18, linewidth=0)
        line = Line2D(epochs, shown, drawstyle="steps-post", linewidth=2, label=_entry(name, curve), **style)
        line.set_clip_on(False)
        artists += [band, ax.add_line(line)]
        entries.append((float(shown[-1]), line))
    name_lines(ax, [line for _, line in sorted(entries, key=lambda entry: -entry[0])], colors)
    _at_risk(ax, settings, ticks, colors)
    return artists


def _entry(name: str, curve: Survival) -> str:
    right = percent(1 - float(curve.waiting[-1]), curve.n)
    diverged = f", {curve.diverged:,} diverged" if curve.diverged else ""
    return f"{short(name)}\n{right} of {curve.n:,} right{diverged}"


def _at_risk(ax: Axes, settings: Mapping[str, Survival], ticks: list[float], theme: Theme) -> None:
    """A row of numbers for each setting, below the epochs."""
    figure = cast("Figure", ax.figure)
    first = max(text_width(f"{curve.at_risk_at(ticks[0]):,}", TICK) for curve in settings.values())
    for row in range(-1, len(settings)):
        down = -(_BELOW + (row + 1) * _ROW)
        beside = offset_copy(ax.transAxes, figure, x=-first / 2 - 6, y=down, units="points")
        if row < 0:
            ax.text(0, 0, "not yet right", transform=beside, fontsize=LABEL, color=theme.muted, ha="right", va="center")
            continue
        name, curve = list(settings.items())[row]
        color = line_style(row, theme)["color"]
        ax.text(0, 0, short(name, longest(ax)), transform=beside, fontsize=TICK, color=color, ha="right", va="center")
        under = offset_copy(ax.get_xaxis_transform(), figure, y=down, units="points")
        for tick in ticks:
            count = f"{curve.at_risk_at(tick):,}" if tick <= curve.trained else "\N{EN DASH}"
            ax.text(tick, 0, count, transform=under, fontsize=TICK, color=theme.ink, ha="center", va="center")

"""The decision boundaries of a hundred networks at a glance."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from ..legends import name_above, room
from ..shapes import EMPTY, Dots, edge, regions
from ..theme import THEMES, blend, style_axes
from .marks import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ...study.boundaries import Boundaries
    from ..theme import Theme, ThemeName

Verdict = Literal["right", "wrong", "diverged"]

# In parts of a tile: the space between two, and how large an example is; and how many are drawn in each.
_GAP, _DOT, _MOST_POINTS = 0.10, 0.03, 60


def decision_boundaries(
    measure: Boundaries, verdicts: Sequence[Verdict], ax: Axes, *, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw a small picture of each network: its two regions, the boundary, some of the examples, and its verdict.

    What is wrong has a thick frame and a cross in its corner; what diverged is an empty, crossed out tile. Returns the
    picture of all regions, the boundaries and the examples.
    """
    colors = THEMES[theme]
    count = len(measure.logits)
    columns = max(1, ceil(count**0.5))
    rows = ceil(count / columns)
    style_axes(ax, colors, title=_title(verdicts))
    ax.set(xlim=(-_GAP, columns), ylim=(rows, -_GAP), xticks=[], yticks=[], aspect="equal")
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.apply_aspect()  # the tiles are seldom as wide as the Axes were
    left, bottom = float(measure.x[0]), float(measure.y[0])
    width, height = float(measure.x[-1]) - left, float(measure.y[-1]) - bottom
    chosen = np.random.default_rng(0).permutation(len(measure.points))[:_MOST_POINTS]
    unit = (measure.points[chosen] - [left, bottom]) / [width, height]
    inside = ((unit > 0.01) & (unit < 0.99)).all(axis=1)
    unit, labels = unit[inside], measure.labels[chosen][inside]
    artists: list[Artist] = []
    paths: tuple[list[Path], list[Path], list[Path]] = ([], [], [])
    corners: list[tuple[float, float]] = []
    for k, verdict in enumerate(verdicts):
        corner = (float(k % columns), float(k // columns))
        corners.append(corner)
        lost = verdict == "diverged"
        if not lost:
            plane = measure.x, measure.y, measure.logits[k]
            for found, path in zip(paths, (*regions(*plane), edge(*plane)), strict=True):
                vertices = np.asarray(path.vertices)
                found.append(Path(_placed((vertices - [left, bottom]) / [width, height], corner), path.codes))
        _frame(ax, corner, verdict, colors)
    shades = [blend(colors.surface, color, 0.3) for color in (colors.negative, colors.positive)]
    for found, fill, line in zip(paths, (*shades, "none"), ("none", "none", colors.ink), strict=True):
        joined = Path.make_compound_path(*found) if found else EMPTY
        artists.append(ax.add_patch(PathPatch(joined, facecolor=fill, edgecolor=line, linewidth=1.2)))
    drawn = [corner for corner, verdict in zip(corners, verdicts, strict=True) if verdict != "diverged"]
    for label, color in enumerate((colors.negative, colors.positive)):
        dots = Dots(ax, color, radius=min(max(_DOT * room(ax) / columns, 0.6), 3), zorder=3)
        of_class = unit[labels == label]
        if drawn:
            dots.set_positions(np.concatenate([_placed(of_class, corner) for corner in drawn]))
        artists.append(dots)
    _legend(ax, verdicts, colors)
    return artists


def _placed(unit: Any, corner: tuple[float, float]) -> NDArray[Any]:
    """Points of a unit square in the tile at a corner, whose rows are counted downwards."""
    side = 1 - _GAP
    return np.stack([corner[0] + side * unit[..., 0], corner[1] + side * (1 - unit[..., 1])], axis=-1)


def _frame(ax: Axes, corner: tuple[float, float], verdict: Verdict, theme: Theme) -> None:
    x, y, side = *corner, 1 - _GAP
    wrong = verdict == "wrong"
    color = theme.wrong if wrong else theme.line
    ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=color, linewidth=2.2 if wrong else 0.8, zorder=4))
    if wrong:
        mark = Line2D([x + 0.86 * side], [y + 0.14 * side], color=theme.wrong, marker="X", markersize=6, linestyle="")
        mark.set(markeredgecolor=theme.surface, markeredgewidth=0.7, zorder=5)
        ax.add_line(mark)
    elif verdict == "diverged":
        ax.add_line(
            Line2D(
                [x, x + side, np.nan, x, x + side], [y, y + side, np.nan, y + side, y], color=theme.muted, linewidth=0.9
            )
        )


def _title(verdicts: Sequence[Verdict]) -> str:
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in ("right", "wrong", "diverged")]
    return f"{plural(len(verdicts))}: " + ", ".join(part for part in counts if not part.startswith("0 "))


def _legend(ax: Axes, verdicts: Sequence[Verdict], theme: Theme) -> None:
    handles: dict[str, Artist] = {
        "right": Patch(edgecolor=theme.line, linewidth=1, label="all cases right", facecolor="none"),
        "wrong": Line2D([], [], color=theme.wrong, marker="X", markersize=7, linestyle="", label="some wrong"),
        "diverged": Line2D([], [], color=theme.muted, marker="x", markersize=8, linestyle="", label="diverged"),
    }
    name_above(ax, [handle for verdict, handle in handles.items() if verdict in verdicts], theme)

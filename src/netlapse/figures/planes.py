"""Planes: the feature space of a layer, and a plane of the inputs."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, cast

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.ticker import MaxNLocator

from ..measures.task import Quantities
from .groups import Groups
from .panel import last_epoch, shortened, spines
from .shapes import EMPTY, Beneath, Dots, Ticker, broken, fitted, text_width
from .theme import LABEL, THEMES, TICK, TITLE, TITLE_PAD, Theme, blend, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from ..measures import DecisionBoundary, FeatureSpace, Limits
    from .theme import ThemeName

# The handle of a legend in times the size of its text, and what an entry takes besides its name in points.
_HANDLE = 2.0
_LONGEST_TITLE = 18
_LEGEND_ENTRY = (_HANDLE + 0.1 + 1.0) * LABEL


class _Plane:
    """What both planes share: regions with their edges, and the examples as dots, in the colours of their groups."""

    def __init__(self, ax: Axes, limits: Limits, groups: Groups, theme: Theme) -> None:
        self.ax, self.groups = ax, groups
        ax.set(xlim=limits[0], ylim=limits[1])
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        self.regions = [_patch(ax, color, alpha=0.2, zorder=1.0) for color in groups.colors]
        self.edge = _patch(ax, "none", edgecolor=theme.ink, linewidth=1.8, zorder=2.5)
        # Each class keeps an outline of the surface's colour, so that it stands out from its own region.
        self.dots = groups.dots(ax)
        self.note = diverged_note(ax, theme)

    def show_regions(self, x: np.ndarray, y: np.ndarray, logits: Float[np.ndarray, "row column unit"]) -> None:
        for patch, path in zip(self.regions, self.groups.regions(x, y, logits), strict=True):
            patch.set_path(path)
        self.edge.set_path(self.groups.edges(x, y, logits))

    def show_points(self, points: Float[np.ndarray, "example 2"]) -> None:
        for number, dots in enumerate(self.dots):
            dots.set_positions(points[self.groups.of_example == number])

    @property
    def dots_in_order(self) -> list[Dots]:
        """The dots as they are drawn, one group over the other."""
        return sorted(self.dots, key=Dots.get_zorder)

    def show_note(self, diverged: bool) -> None:
        self.note.set_visible(diverged)


class FeatureSpacePanel:
    """The plane of a layer: decision regions, the warped grid of the inputs, the examples.

    The pale regions are exact over the whole plane; the stronger ones, for layers of two units, mark the part that
    inputs of the shown domain can reach. A projection of a wider layer says in `facts` how faithful it is.
    """

    def __init__(
        self, ax: Axes, space: FeatureSpace, *, theme: Theme, title: str = "Feature space", facts: Sequence[str] = ()
    ) -> None:
        # torch's Sequential calls its layers "0", "1", ...
        name = f"layer {space.layer}" if space.layer.replace(".", "").isdecimal() else space.layer
        units = len(space.projection.origin)
        self._plane = _Plane(ax, space.limits, Groups(space.task, theme), theme)
        style_axes(ax, theme, title=title)
        _label(ax, theme, *(f"{name}, {axis}" for axis in space.projection.axes))
        self._foot: Foot | None = None
        if units > 2:
            still = [f"{space.projection.method} of {units} units", *facts] if facts else []
            still += [f"grid: {space.inputs_plane}"] if space.inputs_plane else []
            self._foot = Foot(ax, still, _now(space.kept[0], space), theme)
        for patch, color in zip(self._plane.regions, self._plane.groups.colors, strict=True):
            # Opaque, for it lies at the bottom: a blend over so large an area costs a millisecond.
            patch.set(facecolor=blend(theme.surface, color, 0.13), alpha=None)
        whole = space.image is not None
        self._image = [_patch(ax, color, alpha=0.2, zorder=1.5) for color in self._plane.groups.colors if whole]
        self._grid = ax.add_line(Line2D([], [], color=theme.ink, alpha=0.55, linewidth=0.6, zorder=2))
        self._border = ax.add_line(Line2D([], [], color=theme.ink, alpha=0.8, linewidth=1.2, zorder=2.1))
        plane = self._plane
        self.artists: list[Artist] = [
            *plane.regions, *self._image, self._grid, self._border, plane.edge, *plane.dots_in_order, plane.note
        ]  # fmt: skip
        self.artists += spines(ax)
        if self._foot is not None:
            self.artists += self._foot.artists

    @property
    def dots(self) -> list[Dots]:
        """The examples, by group."""
        return self._plane.dots

    @property
    def quantity(self) -> str:
        """What the legend counts, if it is a quantity with a name."""
        return self._plane.groups.quantity

    def show(self, space: FeatureSpace) -> None:
        """Show the feature space at its one frame."""
        if space.plane_logits is not None:
            self._plane.show_regions(space.x, space.y, space.plane_logits[0])
        self._plane.show_points(space.points[0])
        self._plane.show_note(not np.isfinite(space.points).all())
        if self._foot is not None:
            diverged = not np.isfinite(space.points).all()
            self._foot.show(["this epoch: not a number"] if diverged else _now(space.kept[0], space))
        if space.lines is not None:
            lines = space.lines[0]
            half = len(lines) // 2
            self._grid.set_data(*broken(lines).T)
            self._border.set_data(*broken(lines[[0, half - 1, half, -1]]).T)
        if space.image is not None and space.image_logits is not None:
            places = np.where(np.isfinite(space.image[0]), space.image[0], 0)
            logits = np.where(np.isfinite(space.image[0]).all(axis=-1)[..., None], space.image_logits[0], np.nan)
            found = self._plane.groups.regions(places[..., 0], places[..., 1], logits)
            for patch, path in zip(self._image, found, strict=True):
                patch.set_path(path)


class DecisionBoundaryPanel:
    """The plane of two inputs, or a plane through more: decision regions, their edges, the examples."""

    def __init__(self, ax: Axes, boundary: DecisionBoundary, *, theme: Theme, title: str = "Decision boundary") -> None:
        style_axes(ax, theme, title=title)
        wide = len(boundary.projection.origin) > 2
        axes = boundary.projection.axes if wide else ("input $x_1$", "input $x_2$")
        _label(ax, theme, *axes)
        self._plane = plane = _Plane(ax, boundary.limits, Groups(boundary.task, theme), theme)
        plane.show_points(boundary.points)
        self.artists: list[Artist] = [*plane.regions, plane.edge, *plane.dots_in_order, plane.note, *spines(ax)]
        self._foot: Foot | None = None
        if wide:
            still = f"{boundary.projection.method} of {len(boundary.projection.origin)} inputs"
            self._foot = Foot(ax, [still], _now(None, boundary), theme)
            self.artists += self._foot.artists

    @property
    def dots(self) -> list[Dots]:
        """The examples, by group."""
        return self._plane.dots

    @property
    def quantity(self) -> str:
        """What the legend counts, if it is a quantity with a name."""
        return self._plane.groups.quantity

    def show(self, boundary: DecisionBoundary) -> None:
        """Show the boundary at its one frame."""
        self._plane.show_regions(boundary.x, boundary.y, boundary.plane_logits[0])
        self._plane.show_note(bool(np.isnan(boundary.plane_logits).any()))
        if self._foot is not None:
            diverged = np.isnan(boundary.plane_logits).any()
            self._foot.show(["this epoch: not a number"] if diverged else _now(None, boundary))


class Foot:
    """Small print below the label of the horizontal axis, in as many lines as the width of the Axes asks for.

    What is `still` stays; what is said `now` changes with the epoch.
    """

    def __init__(self, ax: Axes, still: Sequence[str], now: Sequence[str], theme: Theme) -> None:
        # The layout comes later; before it, Axes are a little narrower than after.
        self._room = ax.bbox.width * 72 / cast("Figure", ax.figure).dpi
        label, before, after = ax.xaxis.label, _wrapped(still, self._room), _wrapped(now, self._room)
        count = len(before) + len(after)
        # Empty lines of the label itself, so that the layout makes room.
        label.set_text("\n".join([label.get_text(), *[" "] * count]))
        label.set_linespacing(1.3)
        rows = [
            Ticker(0, 3.5 + 1.35 * TICK * up, transform=Beneath(label), size=TICK, color=theme.muted, align="center")
            for up in reversed(range(count))
        ]
        for row, text in zip(rows, before, strict=False):
            row.set_text(text)
        for row in rows:
            ax.add_artist(row)
            row.set_clip_on(False)
        self.artists = rows[len(before) :]

    def show(self, now: Sequence[str]) -> None:
        """Change what is said now."""
        for row, text in zip_longest(self.artists, _wrapped(now, self._room)[: len(self.artists)], fillvalue=""):
            cast("Ticker", row).set_text(text)


def _wrapped(parts: Sequence[str], room: float) -> list[str]:
    """The parts in lines of at most so many points, where a part is not longer by itself."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]} \N{MIDDLE DOT} {part}" if lines else ""
        if lines and text_width(longer, TICK) <= room:
            lines[-1] = longer
        else:
            lines.append(fitted(part, room))
    return lines


def _now(kept: float | None, drawn: FeatureSpace | DecisionBoundary) -> list[str]:
    """What is to be said of a projection at one epoch."""
    parts = [] if kept is None else [f"{kept:.0%} of variance" if np.isfinite(kept) else "no variance"]
    if drawn.agreement is not None:
        share = float(drawn.agreement[0])
        parts.append(
            f"R² of regions {share:.2f}" if isinstance(drawn.task, Quantities) else f"regions right for {share:.0%}"
        )
    return [f"this epoch: {parts[0]}", *parts[1:]] if parts else []


def _label(ax: Axes, theme: Theme, across: str, up: str) -> None:
    ax.set_xlabel(across, fontsize=LABEL, color=theme.ink)
    ax.set_ylabel(up, fontsize=LABEL, color=theme.ink)


def feature_space(
    space: FeatureSpace,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    title: str = "Feature space",
    legend: bool = True,
) -> list[Artist]:
    """Draw a feature space at one epoch, the last by default. Returns the artists."""
    panel = FeatureSpacePanel(ax, space, theme=THEMES[theme], title=title)
    panel.show(space.at(last_epoch(space.epochs, epoch)))
    if legend:
        class_legend(ax, panel.dots, THEMES[theme], title=panel.quantity)
    return panel.artists


def decision_boundary(
    boundary: DecisionBoundary,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    title: str = "Decision boundary",
    legend: bool = True,
) -> list[Artist]:
    """Draw a decision boundary at one epoch, the last by default. Returns the artists."""
    panel = DecisionBoundaryPanel(ax, boundary, theme=THEMES[theme], title=title)
    panel.show(boundary.at(last_epoch(boundary.epochs, epoch)))
    if legend:
        class_legend(ax, panel.dots, THEMES[theme], title=panel.quantity)
    return panel.artists


def class_legend(ax: Axes, dots: Sequence[Dots], theme: Theme, *, title: str = "") -> None:
    """Name the groups of examples: a few above the Axes, at the right of the title or below it; many beside them."""
    names = [str(patch.get_label()) for patch in dots]
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=7, color=patch.get_facecolor(), label=name)
        for patch, name in zip(dots, names, strict=True)
    ]
    beside = len(dots) > 3 or sum(map(len, names)) > 30
    # The layout will change the width only a little.
    room = ax.bbox.width * 72 / ax.figure.dpi - text_width(f"{ax.get_title(loc='left')} ", TITLE)
    below = not beside and sum(text_width(name, LABEL) + _LEGEND_ENTRY for name in names) - LABEL > room
    if below:
        ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=TITLE, color=theme.ink, pad=TITLE_PAD + 1.3 * LABEL)
    title = shortened(title, _LONGEST_TITLE)
    loc, anchor = ("lower right", (1.0, 1.0)) if not below else ("lower left", (0.0, 1.0))
    ax.legend(
        handles=handles,
        loc="center left" if beside else loc,
        bbox_to_anchor=(1.0, 0.5) if beside else anchor,
        ncols=1 if beside else len(dots),
        frameon=False,
        fontsize=LABEL,
        labelcolor=theme.ink,
        borderpad=0.1,
        borderaxespad=0.35 if not below else 0.1,
        handlelength=_HANDLE,
        handletextpad=0.1,
        columnspacing=1.0,
        title=title or None,
        title_fontproperties={"size": LABEL},
        alignment="left",
    ).get_title().set_color(theme.ink)


def _patch(
    ax: Axes,
    color: str,
    *,
    edgecolor: str = "none",
    linewidth: float = 0,
    alpha: float | None = None,
    zorder: float,
) -> PathPatch:
    patch = PathPatch(EMPTY, facecolor=color, edgecolor=edgecolor, linewidth=linewidth, alpha=alpha, zorder=zorder)
    ax.add_artist(patch)
    patch.set_clip_box(ax.bbox)
    return patch


def diverged_note(ax: Axes, theme: Theme) -> Text:
    return ax.text(
        0.5,
        0.5,
        "not a number:\nthe weights have diverged",
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=LABEL,
        color=theme.wrong,
        bbox={"boxstyle": "square,pad=0.4", "facecolor": theme.surface, "edgecolor": theme.wrong},
        visible=False,
        zorder=5,
    )

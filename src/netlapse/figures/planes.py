"""Planes: the feature space of a 2-unit layer, and the plane of two inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.ticker import MaxNLocator

from .panel import CLASS_NAMES, last_epoch, spines
from .shapes import EMPTY, Dots, broken, edge, regions
from .theme import LABEL, THEMES, Theme, blend, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from ..measures import DecisionBoundary, FeatureSpace, Limits
    from .theme import ThemeName


class _Plane:
    """What both planes share: decision regions with their edge, and the examples as dots."""

    def __init__(self, ax: Axes, limits: Limits, theme: Theme, names: Sequence[str]) -> None:
        self.ax = ax
        ax.set(xlim=limits[0], ylim=limits[1])
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        colors = (theme.negative, theme.positive)
        self.regions = [_patch(ax, color, alpha=0.2, zorder=1.0) for color in colors]
        self.edge = _patch(ax, "none", edgecolor=theme.ink, linewidth=1.8, zorder=2.5)
        # Each class keeps an outline of the surface's colour, so that it stands out from its own region.
        self.dots = [Dots(ax, color, label=name) for color, name in zip(colors, names, strict=True)]
        self.note = _note(ax, theme)

    def show_regions(self, x: np.ndarray, y: np.ndarray, logits: Float[np.ndarray, "row column"]) -> None:
        for patch, path in zip(self.regions, regions(x, y, logits), strict=True):
            patch.set_path(path)
        self.edge.set_path(edge(x, y, logits))

    def show_points(self, points: Float[np.ndarray, "example 2"], positive: Bool[np.ndarray, " example"]) -> None:
        for dots, which in zip(self.dots, (~positive, positive), strict=True):
            dots.set_positions(points[which])

    def show_note(self, values: np.ndarray) -> None:
        self.note.set_visible(not np.isfinite(values).all())


class FeatureSpacePanel:
    """The plane of a 2-unit layer: decision regions, the warped input grid, the examples.

    The pale regions are exact over the whole plane; the stronger ones mark the part that inputs of the shown domain
    can reach.
    """

    def __init__(
        self,
        ax: Axes,
        space: FeatureSpace,
        *,
        theme: Theme,
        names: Sequence[str] = CLASS_NAMES,
        title: str = "Feature space",
    ) -> None:
        # torch's Sequential calls its layers "0", "1", ...
        name = f"layer {space.layer}" if space.layer.replace(".", "").isdecimal() else space.layer
        units = [f"{name}, unit {number}" for number in (1, 2)]
        style_axes(ax, theme, title=title, xlabel=units[0], ylabel=units[1])
        self._plane = _Plane(ax, space.limits, theme, names)
        for patch, color in zip(self._plane.regions, (theme.negative, theme.positive), strict=True):
            # Opaque, for it lies at the bottom: a blend over so large an area costs a millisecond.
            patch.set(facecolor=blend(theme.surface, color, 0.13), alpha=None)
        self._image = [_patch(ax, color, alpha=0.2, zorder=1.5) for color in (theme.negative, theme.positive)]
        self._grid = ax.add_line(Line2D([], [], color=theme.ink, alpha=0.55, linewidth=0.6, zorder=2))
        self._border = ax.add_line(Line2D([], [], color=theme.ink, alpha=0.8, linewidth=1.2, zorder=2.1))
        plane = self._plane
        self.artists: list[Artist] = [
            *plane.regions, *self._image, self._grid, self._border, plane.edge, *plane.dots, plane.note, *spines(ax)
        ]  # fmt: skip

    @property
    def dots(self) -> list[Dots]:
        """The examples, by class."""
        return self._plane.dots

    def show(self, space: FeatureSpace) -> None:
        """Show the feature space at its one frame."""
        self._plane.show_regions(space.x, space.y, space.plane_logits[0])
        self._plane.show_points(space.points[0], space.positive)
        self._plane.show_note(space.points)
        if space.image is not None and space.image_logits is not None and space.lines is not None:
            places = np.where(np.isfinite(space.image[0]), space.image[0], 0)
            logits = np.where(np.isfinite(space.image[0]).all(axis=-1), space.image_logits[0], np.nan)
            for patch, path in zip(self._image, regions(places[..., 0], places[..., 1], logits), strict=True):
                patch.set_path(path)
            lines = space.lines[0]
            half = len(lines) // 2
            self._grid.set_data(*broken(lines).T)
            self._border.set_data(*broken(lines[[0, half - 1, half, -1]]).T)


class DecisionBoundaryPanel:
    """The plane of the two inputs: decision regions, their edge, the examples."""

    def __init__(
        self,
        ax: Axes,
        boundary: DecisionBoundary,
        *,
        theme: Theme,
        names: Sequence[str] = CLASS_NAMES,
        title: str = "Decision boundary",
    ) -> None:
        style_axes(ax, theme, title=title, xlabel="input $x_1$", ylabel="input $x_2$")
        self._plane = plane = _Plane(ax, boundary.limits, theme, names)
        plane.show_points(boundary.inputs, boundary.positive)
        self.artists: list[Artist] = [*plane.regions, plane.edge, *plane.dots, plane.note, *spines(ax)]

    @property
    def dots(self) -> list[Dots]:
        """The examples, by class."""
        return self._plane.dots

    def show(self, boundary: DecisionBoundary) -> None:
        """Show the boundary at its one frame."""
        self._plane.show_regions(boundary.x, boundary.y, boundary.grid_logits[0])
        self._plane.show_note(boundary.logits)


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
        class_legend(ax, panel.dots, THEMES[theme])
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
        class_legend(ax, panel.dots, THEMES[theme])
    return panel.artists


def class_legend(ax: Axes, dots: Sequence[Dots], theme: Theme) -> None:
    """Name the classes above the right end of the Axes."""
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=7,
            color=patch.get_facecolor(),
            label=str(patch.get_label()),
        )
        for patch in dots
    ]
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=LABEL,
        labelcolor=theme.ink,
        borderpad=0.1,
        borderaxespad=0.35,
        handletextpad=0.1,
        columnspacing=1.0,
    )


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


def _note(ax: Axes, theme: Theme) -> Text:
    return ax.text(
        0.5,
        0.5,
        "not a number:\nthe weights have diverged",
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=LABEL,
        color=theme.wrong,
        visible=False,
        zorder=5,
    )

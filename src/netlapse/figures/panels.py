"""The panels: each draws one measure on Axes, and is moved to another epoch without being drawn anew.

A panel makes all its artists once. `show` takes the measure at one epoch and changes their data; `artists` are
those that change, in drawing order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, StepPatch
from matplotlib.transforms import offset_copy

from .shapes import EMPTY, Dots, Ticker, broken, edge, regions
from .theme import LABEL, THEMES, TICK, TITLE_PAD, Theme, blend, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from numpy.typing import NDArray

    from ..measures import ClassProbabilities, Curves, DecisionBoundary, FeatureSpace, Limits, SampleLosses
    from .theme import ThemeName

CLASS_NAMES = ("negative", "positive")


class _Plane:
    """What both planes share: decision regions with their edge, and the examples as dots."""

    def __init__(self, ax: Axes, limits: Limits, theme: Theme, names: Sequence[str]) -> None:
        self.ax = ax
        ax.set(xlim=limits[0], ylim=limits[1])
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
        units = [f"{space.layer}, unit {number}" for number in (1, 2)]
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
            *plane.regions, *self._image, self._grid, self._border, plane.edge, *plane.dots, plane.note, *_spines(ax)
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
        self.artists: list[Artist] = [*plane.regions, plane.edge, *plane.dots, plane.note, *_spines(ax)]

    @property
    def dots(self) -> list[Dots]:
        """The examples, by class."""
        return self._plane.dots

    def show(self, boundary: DecisionBoundary) -> None:
        """Show the boundary at its one frame."""
        self._plane.show_regions(boundary.x, boundary.y, boundary.grid_logits[0])
        self._plane.show_note(boundary.logits)


class ProbabilityPanel:
    """Histogram of P(positive) over the examples of one class; the wrong ones coloured and hatched."""

    def __init__(
        self,
        ax: Axes,
        measure: ClassProbabilities,
        *,
        positive: bool,
        theme: Theme,
        names: Sequence[str] = CLASS_NAMES,
    ) -> None:
        self._positive = positive
        cases = int((measure.positive == positive).sum())
        style_axes(
            ax,
            theme,
            title=f"{names[positive].capitalize()} cases",
            xlabel=f"P({names[1]})",
            ylabel="cases (square-root scale)",
        )
        _root_scale(ax, cases)
        ax.set_xlim(0, 1)
        ax.axvline(0.5, color=theme.muted, linewidth=1, linestyle=(0, (2, 2)), zorder=0.5)
        _, edges = measure.histogram(positive=positive)
        color = theme.positive if positive else theme.negative
        self._right = _stairs(ax, edges, theme, color)
        self._wrong = _stairs(ax, edges, theme, theme.wrong, hatch=True)
        self._count = _corner(ax, theme)
        self.artists: list[Artist] = [self._right, self._wrong, self._count, *_spines(ax)]

    def show(self, measure: ClassProbabilities) -> None:
        """Show the histogram at its one frame."""
        counts, edges = measure.histogram(positive=self._positive)
        # The bin that ends at 0.5 is predicted negative.
        says_positive = edges[:-1] >= 0.5
        right = says_positive if self._positive else ~says_positive
        self._right.set_data(np.where(right, counts[0], 0))
        self._wrong.set_data(np.where(right, 0, counts[0]))
        mistakes = int(counts[0][~right].sum())
        total = int((measure.positive == self._positive).sum())
        lost = total - int(counts[0].sum())
        self._count.set_text(f"{mistakes} wrong" + (f", {lost} not a number" if lost else ""))


class LossPanel:
    """Histogram of the loss of every example, the wrong ones stacked on the right ones and hatched.

    The scale ends where all but one example in two hundred lie at every frame; how many lie beyond is written.
    """

    def __init__(self, ax: Axes, measure: SampleLosses, *, largest: float, theme: Theme) -> None:
        self._edges = np.linspace(0, largest, 41)
        cases = measure.losses.shape[1]
        style_axes(ax, theme, title="Loss of every case", xlabel=measure.loss, ylabel="cases (square-root scale)")
        _root_scale(ax, cases)
        ax.set_xlim(0, largest)
        self._right = _stairs(ax, self._edges, theme, theme.line)
        self._wrong = _stairs(ax, self._edges, theme, theme.wrong, hatch=True)
        self._right.set_label("right")
        self._wrong.set_label("wrong")
        ax.legend(
            loc="upper right",
            frameon=False,
            fontsize=TICK,
            labelcolor=theme.ink,
            borderpad=0.1,
            handlelength=1.5,
        )
        self._beyond = _corner(ax, theme)
        self.artists: list[Artist] = [self._right, self._wrong, self._beyond, *_spines(ax)]

    def show(self, measure: SampleLosses) -> None:
        """Show the histogram at its one frame."""
        right, wrong = (counts[0] for counts in measure.histogram(self._edges))
        self._right.set_data(right)
        self._wrong.set_data(right + wrong, baseline=right.astype(float))
        beyond = measure.losses.shape[1] - int(right.sum() + wrong.sum())
        self._beyond.set_text(f"{beyond} beyond {self._edges[-1]:.2g}" if beyond else "")


class CurvesPanel:
    """Accuracy and mean loss up to the epoch shown, the rest of the run faint."""

    def __init__(self, ax: Axes, curves: Curves, *, theme: Theme) -> None:
        color = theme.series[2]
        style_axes(ax, theme, xlabel="epoch", ylabel="accuracy")
        twin = ax.twinx()
        style_axes(twin, theme, ylabel="mean loss")
        twin.set_facecolor("none")
        twin.yaxis.label.set_color(color)
        twin.spines["right"].set_visible(True)
        for side in ("left", "bottom"):
            twin.spines[side].set_visible(False)
        last = float(curves.epochs[-1])
        ax.set(xlim=(float(curves.epochs[0]), max(last, curves.epochs[0] + 1e-9)), ylim=(0, 1.03))
        finite = curves.loss[np.isfinite(curves.loss)]
        twin.set_ylim(0, 1.03 * max(float(finite.max()) if len(finite) else 1.0, 1e-9))
        ax.plot(curves.epochs, curves.accuracy, color=theme.ink, alpha=0.25, linewidth=1)
        twin.plot(curves.epochs, curves.loss, color=color, alpha=0.3, linewidth=1)
        self._curves = curves
        self._accuracy = ax.add_line(Line2D([], [], color=theme.ink, linewidth=1.8, label="accuracy"))
        self._loss = twin.add_line(
            Line2D([], [], color=color, linewidth=1.8, linestyle=(0, (4, 1.5)), label="mean loss")
        )
        self._now = [
            axes.add_line(Line2D([], [], color=line.get_color(), marker="o", markersize=6, clip_on=False))
            for axes, line in ((ax, self._accuracy), (twin, self._loss))
        ]
        ax.legend(
            handles=[self._accuracy, self._loss],
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=2,
            frameon=False,
            fontsize=LABEL,
            labelcolor=theme.ink,
            borderpad=0.1,
            borderaxespad=0.35,
            handlelength=1.7,
            handletextpad=0.5,
            columnspacing=1.2,
        )
        self.artists: list[Artist] = [self._accuracy, self._loss, *self._now, *_spines(ax), *_spines(twin)]

    def show(self, epoch: float) -> None:
        """Show the curves up to this epoch."""
        curves, now = self._curves, self._curves.at(epoch)
        past = curves.epochs < epoch
        x = np.append(curves.epochs[past], epoch)
        for line, dot, values, value in (
            (self._accuracy, self._now[0], curves.accuracy, now.accuracy[0]),
            (self._loss, self._now[1], curves.loss, now.loss[0]),
        ):
            line.set_data(x, np.append(values[past], value))
            dot.set_data([epoch], [value])


def feature_space(
    space: FeatureSpace,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    title: str = "Feature space",
) -> list[Artist]:
    """Draw a feature space at one epoch, the last by default. Returns the artists."""
    panel = FeatureSpacePanel(ax, space, theme=THEMES[theme], title=title)
    panel.show(space.at(_last(space.epochs, epoch)))
    return panel.artists


def decision_boundary(
    boundary: DecisionBoundary,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    title: str = "Decision boundary",
) -> list[Artist]:
    """Draw a decision boundary at one epoch, the last by default. Returns the artists."""
    panel = DecisionBoundaryPanel(ax, boundary, theme=THEMES[theme], title=title)
    panel.show(boundary.at(_last(boundary.epochs, epoch)))
    return panel.artists


def class_probabilities(
    measure: ClassProbabilities,
    ax: Axes,
    *,
    positive: bool,
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw the probabilities given to one class at one epoch, the last by default. Returns the artists."""
    panel = ProbabilityPanel(ax, measure, positive=positive, theme=THEMES[theme])
    panel.show(measure.at(_last(measure.epochs, epoch)))
    return panel.artists


def sample_losses(
    measure: SampleLosses, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw the losses of all examples at one epoch, the last by default. Returns the artists."""
    panel = LossPanel(ax, measure, largest=largest_loss(measure), theme=THEMES[theme])
    panel.show(measure.at(_last(measure.epochs, epoch)))
    return panel.artists


def curves(measure: Curves, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light") -> list[Artist]:
    """Draw accuracy and mean loss up to one epoch, the last by default. Returns the artists."""
    panel = CurvesPanel(ax, measure, theme=THEMES[theme])
    panel.show(_last(measure.epochs, epoch))
    return panel.artists


def largest_loss(measure: SampleLosses) -> float:
    """Where the scale of a loss histogram ends: beyond all but 0.5 % of the examples, at every frame."""
    finite = np.where(np.isfinite(measure.losses), measure.losses, 0)
    return max(float(np.quantile(finite, 0.995, axis=1).max()), 1e-6)


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


def _last(epochs: Float[np.ndarray, " frame"], epoch: float | None) -> float:
    return float(epochs[-1]) if epoch is None else epoch


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


def _stairs(ax: Axes, edges: Float[np.ndarray, " edge"], theme: Theme, color: str, *, hatch: bool = False) -> StepPatch:
    stairs = ax.stairs(np.zeros(len(edges) - 1), edges, fill=True, facecolor=color, edgecolor="none", linewidth=0)
    if hatch:
        stairs.set(hatch="////", edgecolor=theme.surface)
    return stairs


def _root_scale(ax: Axes, cases: int) -> None:
    """A height that grows with the square root: one case in a thousand can still be seen."""
    ax.set_yscale("function", functions=(_root, np.square))
    ax.set_ylim(0, cases)
    ticks = [tick for power in range(8) for tick in (10**power, 3 * 10**power) if 0.009 * cases < tick <= 0.75 * cases]
    ax.set_yticks([0, *ticks[-4:], cases])
    ax.minorticks_off()


def _root(cases: NDArray[Any]) -> NDArray[Any]:
    return np.sqrt(np.maximum(cases, 0))


def _corner(ax: Axes, theme: Theme) -> Ticker:
    """A changing text above the right end of the Axes, on the line of the title."""
    figure = cast("Figure", ax.figure)
    place = offset_copy(ax.transAxes, figure, y=TITLE_PAD, units="points")
    ticker = Ticker(1.0, 1.0, transform=place, size=TICK, color=theme.wrong)
    ax.add_artist(ticker)
    ticker.set_clip_on(False)
    return ticker


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


def _spines(ax: Axes) -> list[Artist]:
    return [spine for spine in ax.spines.values() if spine.get_visible()]

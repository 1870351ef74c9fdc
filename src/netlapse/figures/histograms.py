"""Histograms of the examples: by the probability they are given, by their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from matplotlib.transforms import blended_transform_factory, offset_copy

from ..measures.task import Classes
from .groups import Groups
from .panel import CASES, Corner, last_epoch, root_scale, shortened, spines
from .shapes import Ticker
from .theme import THEMES, TICK, Theme, style_axes

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import StepPatch

    from ..measures import ClassProbabilities, SampleLosses
    from .theme import ThemeName

# Room for the counts, in parts of the scale, and the characters of a class' name that there is room for.
_COUNTS, _LONGEST_NAME = 0.17, 12
# Of a histogram of losses.
_BINS = 40


class ProbabilityPanel:
    """Histogram of P(positive) over the examples of one of two classes; the wrong ones coloured and hatched."""

    def __init__(self, ax: Axes, measure: ClassProbabilities, *, of: int, theme: Theme, whose: str = "") -> None:
        self._of = of
        cases = int((measure.labels == of).sum())
        names = measure.names
        style_axes(ax, theme, title=_capital(names[of]) + whose, xlabel=f"P({names[1]})", ylabel=CASES)
        root_scale(ax, cases)
        ax.set_xlim(0, 1)
        ax.axvline(0.5, color=theme.muted, linewidth=1, linestyle=(0, (2, 2)), zorder=0.5)
        *_, edges = measure.histogram(of)
        self._right = _stairs(ax, edges, theme, theme.classes[of])
        self._wrong = _stairs(ax, edges, theme, theme.wrong, hatch=True)
        self._count = Corner(ax, theme)
        self.artists: list[Artist] = [self._right, self._wrong, self._count, *spines(ax)]

    def show(self, measure: ClassProbabilities) -> None:
        """Show the histogram at its one frame."""
        # A negative example's own class is the other end of the axis.
        right, wrong = (counts[0][:: 1 if self._of else -1] for counts in measure.histogram(self._of)[:2])
        self._right.set_data(right)
        self._wrong.set_data(right + wrong, baseline=right.astype(float))
        lost = int((measure.labels == self._of).sum()) - int((right + wrong).sum())
        mistakes = f"{int(wrong.sum())} wrong"
        short = f"{int(wrong.sum())}"
        self._count.set_choice(*([f"{lost} not a number", f"{lost} NaN"] if lost else [mistakes, short]))


class OwnProbabilityPanel:
    """Of each group of classes, the histogram of the probability that its examples' own class gets.

    One row for each, all on one scale of shares; what is wrong is coloured and hatched, on top of what is right, and
    counted at the end of the row.
    """

    def __init__(self, ax: Axes, measure: ClassProbabilities, groups: Groups, *, theme: Theme, whose: str = "") -> None:
        self._groups = groups
        style_axes(ax, theme, title="P(own class)" + whose, xlabel="probability")
        rows = len(groups)
        # The counts stand beyond the end of the scale, where no bar comes.
        ax.set(xlim=(0, 1 + _COUNTS), ylim=(rows, 0), xticks=(0, 0.5, 1))
        ax.spines["bottom"].set_bounds(0, 1)
        ax.spines["left"].set_visible(False)
        ax.set_yticks(np.arange(rows) + 0.55, [shortened(name, _LONGEST_NAME) for name in groups.names])
        ax.tick_params(axis="y", length=0, labelcolor=theme.ink)
        ax.hlines(np.arange(1, rows), 0, 1 + _COUNTS, color=theme.line, linewidth=0.6)
        *_, edges = measure.histogram(0)
        self._right = [_stairs(ax, edges, theme, color) for color in groups.colors]
        self._wrong = [_stairs(ax, edges, theme, theme.wrong, hatch=True) for _ in groups.colors]
        end = blended_transform_factory(ax.transAxes, ax.transData)
        middle = [offset_copy(end, cast("Figure", ax.figure), y=-0.36 * TICK, units="points")] * rows
        self._counts = [
            Ticker(1, row + 0.55, transform=place, size=TICK, color=theme.wrong) for row, place in enumerate(middle)
        ]
        for count in self._counts:
            ax.add_artist(count)
        self._head = Corner(ax, theme)
        self.artists: list[Artist] = [*self._right, *self._wrong, *self._counts, self._head, *spines(ax)]

    def show(self, measure: ClassProbabilities) -> None:
        """Show the histograms at its one frame."""
        lost = 0
        for row, classes in enumerate(self._groups.members):
            right, wrong = (counts[0] for counts in measure.histogram(classes)[:2])
            cases = int(np.isin(measure.labels, classes).sum())
            floor = row + 0.97
            # The height grows with the square root, as in the histograms of two classes.
            low, high = (0.9 * np.sqrt(part / max(1, cases)) for part in (right, right + wrong))
            self._right[row].set_data(floor - low, baseline=floor)
            self._wrong[row].set_data(floor - high, baseline=floor - low)
            # What is no number is in no bar, and never right.
            self._counts[row].set_text(str(cases - int(right.sum())))
            lost += cases - int((right + wrong).sum())
        self._head.set_choice(*([f"{lost} not a number", f"{lost} NaN"] if lost else ["wrong"]))


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


class LossPanel:
    """Histogram of the loss of every example, the wrong ones stacked on the right ones and hatched.

    The scale ends where all but one example in two hundred lie at every frame of `whole`; how many lie beyond is
    written.
    """

    def __init__(self, ax: Axes, whole: SampleLosses, *, theme: Theme, whose: str = "") -> None:
        largest = largest_loss(whole)
        self._edges = np.linspace(0, largest, _BINS + 1)
        cases = whole.losses.shape[1]
        style_axes(ax, theme, title="Loss per case" + whose, xlabel=whole.loss, ylabel=CASES)
        root_scale(ax, cases)
        ax.set_xlim(0, largest)
        self._right = _stairs(ax, self._edges, theme, theme.line)
        self._wrong = _stairs(ax, self._edges, theme, theme.wrong, hatch=True)
        self._right.set_label("right")
        self._wrong.set_label("wrong")
        if whole.wrong is not None:
            ax.legend(
                loc=self._free_corner(whole),
                frameon=False,
                fontsize=TICK,
                labelcolor=theme.ink,
                borderpad=0.1,
                handlelength=1.5,
            )
        self._beyond = Corner(ax, theme)
        self.artists: list[Artist] = [self._right, self._wrong, self._beyond, *spines(ax)]

    def _free_corner(self, whole: SampleLosses) -> Literal["upper right", "upper center"]:
        """Where no bar reaches the legend at any frame, if there is such a place."""
        right, wrong = whole.histogram(self._edges)
        high = (right + wrong).max(axis=0) > 0.35 * whole.losses.shape[1]
        third = _BINS // 3
        return "upper center" if high[-third:].any() and not high[third:-third].any() else "upper right"

    def show(self, measure: SampleLosses) -> None:
        """Show the histogram at its one frame."""
        right, wrong = (counts[0] for counts in measure.histogram(self._edges))
        self._right.set_data(right)
        self._wrong.set_data(right + wrong, baseline=right.astype(float))
        lost = int(np.isnan(measure.losses[0]).sum())
        beyond = measure.losses.shape[1] - int(right.sum() + wrong.sum()) - lost
        if lost:
            self._beyond.set_choice(f"{lost} not a number", f"{lost} NaN")
        else:
            self._beyond.set_choice(
                *([f"{beyond} beyond {self._edges[-1]:.2g}", f"{beyond} beyond"] if beyond else [""])
            )


def class_probabilities(
    measure: ClassProbabilities,
    ax: Axes,
    *,
    of: int | None = None,
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw the probabilities at one epoch, the last by default. Returns the artists.

    Of two classes, `of` chooses whose examples are drawn; without it, and of more classes, each is a row.
    """
    colors = THEMES[theme]
    if of is not None and len(measure.names) == 2:
        panel = ProbabilityPanel(ax, measure, of=of, theme=colors)
    else:
        groups = Groups(Classes(measure.labels, measure.names), colors)
        panel = OwnProbabilityPanel(ax, measure, groups, theme=colors)
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def sample_losses(
    measure: SampleLosses, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw the losses of all examples at one epoch, the last by default. Returns the artists."""
    panel = LossPanel(ax, measure, theme=THEMES[theme])
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def largest_loss(measure: SampleLosses) -> float:
    """Where the scale of a loss histogram ends: beyond all but 0.5 % of the examples, at every frame."""
    finite = np.where(np.isfinite(measure.losses), measure.losses, 0)
    return max(float(np.quantile(finite, 0.995, axis=1).max()), 1e-6)


def _stairs(ax: Axes, edges: Float[np.ndarray, " edge"], theme: Theme, color: str, *, hatch: bool = False) -> StepPatch:
    stairs = ax.stairs(np.zeros(len(edges) - 1), edges, fill=True, facecolor=color, edgecolor="none", linewidth=0)
    if hatch:
        stairs.set(hatch="////", edgecolor=theme.surface)
    return stairs

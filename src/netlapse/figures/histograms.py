"""Histograms of the examples: by the probability they are given, by their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.transforms import offset_copy

from .panel import CLASS_NAMES, last_epoch, spines
from .shapes import Ticker
from .theme import THEMES, TICK, TITLE_PAD, Theme, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import StepPatch
    from numpy.typing import NDArray

    from ..measures import ClassProbabilities, SampleLosses
    from .theme import ThemeName


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
            title=names[positive].capitalize(),
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
        self.artists: list[Artist] = [self._right, self._wrong, self._count, *spines(ax)]

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
        self.artists: list[Artist] = [self._right, self._wrong, self._beyond, *spines(ax)]

    def show(self, measure: SampleLosses) -> None:
        """Show the histogram at its one frame."""
        right, wrong = (counts[0] for counts in measure.histogram(self._edges))
        self._right.set_data(right)
        self._wrong.set_data(right + wrong, baseline=right.astype(float))
        beyond = measure.losses.shape[1] - int(right.sum() + wrong.sum())
        self._beyond.set_text(f"{beyond} beyond {self._edges[-1]:.2g}" if beyond else "")


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
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def sample_losses(
    measure: SampleLosses, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw the losses of all examples at one epoch, the last by default. Returns the artists."""
    panel = LossPanel(ax, measure, largest=largest_loss(measure), theme=THEMES[theme])
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

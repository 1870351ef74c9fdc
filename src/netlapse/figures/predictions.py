"""Quantities: predicted against true, and the residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..measures.task import UNNAMED
from .panel import CASES, Corner, last_epoch, root_scale, shortened, spines
from .shapes import Dots
from .theme import THEMES, Theme, style_axes

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import Predictions
    from .theme import ThemeName

_LONGEST_NAME = 12
_BINS = 41


class PredictionsPanel:
    """Predicted against true, one dot for each example, with the diagonal on which both are the same.

    In the corner stand R² and the root of the mean squared error, and how many examples lie beyond the scale.
    """

    def __init__(
        self, ax: Axes, measure: Predictions, *, limits: tuple[float, float], theme: Theme, quantity: int = 0
    ) -> None:
        self._quantity, self._limits = quantity, limits
        style_axes(ax, theme, title=_title(measure, quantity, "Predictions"), xlabel="true", ylabel="predicted")
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
        true = measure.true[:, quantity]
        margin = 0.03 * (float(np.ptp(true)) or 1.0)
        ax.set(xlim=(true.min() - margin, true.max() + margin), ylim=limits)
        ax.axline((true.min(), true.min()), slope=1, color=theme.muted, linewidth=1.2, linestyle=(0, (4, 2)))
        self._dots = Dots(ax, theme.series[quantity % len(theme.series)], radius=1.9)
        self._dots.set_alpha(0.75)
        self._note = Corner(ax, theme, theme.ink)
        self.artists: list[Artist] = [self._dots, self._note, *spines(ax)]

    def show(self, measure: Predictions) -> None:
        """Show its one frame."""
        predicted = measure.predicted[0, :, self._quantity]
        self._dots.set_positions(np.stack([measure.true[:, self._quantity], predicted], axis=1))
        r2, rmse = float(measure.r2[0, self._quantity]), float(measure.rmse[0, self._quantity])
        low, high = self._limits
        beyond = int((~((predicted >= low) & (predicted <= high))).sum())
        error = f"RMSE {rmse:.3g}" if np.isfinite(rmse) else "not a number"
        score, more = f"R² {r2:.2f}" if np.isfinite(r2) else "", f"{beyond} beyond" if beyond else ""
        choice = ((score, error, more), (score, more), (more,))
        self._note.set_choice(*(", ".join(filter(None, parts)) for parts in choice))


class ResidualsPanel:
    """Histogram of the residuals, predicted less true; `largest` is where its scale ends on either side.

    The highest bin of the whole `measure` fits it.
    """

    def __init__(self, ax: Axes, measure: Predictions, *, largest: float, theme: Theme, quantity: int = 0) -> None:
        self._quantity, self._edges = quantity, np.linspace(-largest, largest, _BINS + 1)
        title = _title(measure, quantity, "Residuals")
        style_axes(ax, theme, title=title, xlabel="predicted \N{MINUS SIGN} true", ylabel=CASES)
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
        root_scale(ax, max(int(measure.histogram(self._edges, quantity).max()), 1))
        ax.set_xlim(-largest, largest)
        ax.axvline(0, color=theme.muted, linewidth=1, linestyle=(0, (2, 2)), zorder=2)
        self._stairs = ax.stairs(
            np.zeros(_BINS), self._edges, fill=True, color=theme.series[quantity % len(theme.series)], linewidth=0
        )
        self._note = Corner(ax, theme)
        self.artists: list[Artist] = [self._stairs, self._note, *spines(ax)]

    def show(self, measure: Predictions) -> None:
        """Show its one frame."""
        counts = measure.histogram(self._edges, self._quantity)[0]
        self._stairs.set_data(counts)
        residuals = measure.residuals[0, :, self._quantity]
        beyond = len(residuals) - int(counts.sum())
        text = "not a number" if np.isnan(residuals).all() else f"{beyond} beyond"
        self._note.set_choice(text if beyond else "")


def _title(measure: Predictions, quantity: int, alone: str) -> str:
    """What the panel shows, and of which quantity if that has a name; of several there is room for the name only."""
    name = shortened(measure.names[quantity], _LONGEST_NAME)
    if measure.total > 1:
        return name
    return alone if measure.names == UNNAMED else f"{alone}: {name}"


def prediction_limits(measure: Predictions, quantity: int = 0) -> tuple[float, float]:
    """A scale for the predictions: all that is true, and all but 0.5 % of what is predicted at every frame.

    It reaches at most the width of what is true beyond it: a network that has diverged leaves it.
    """
    true, low, high = measure.true[:, quantity], *_reach(measure.predicted[:, :, quantity])
    span = float(np.ptp(true)) or 1.0
    least, most = float(true.min()), float(true.max())
    return max(min(least, low), least - span) - 0.03 * span, min(max(most, high), most + span) + 0.03 * span


def largest_residual(measure: Predictions, quantity: int = 0) -> float:
    """Where the scale of the residuals ends: beyond all but 0.5 % of them at every frame.

    At most three times the standard deviation of what is true, which predicting its mean would leave.
    """
    residuals = np.abs(measure.residuals[:, :, quantity])
    _, high = _reach(residuals)
    spread = 3 * float(measure.true[:, quantity].std())
    return max(min(high, spread) if spread else high, 1e-9)


def _reach(values: Float[np.ndarray, "frame example"]) -> tuple[float, float]:
    finite = [row[np.isfinite(row)] for row in values]
    ends = [np.quantile(row, (0.005, 0.995)) for row in finite if len(row)]
    return (float(min(low for low, _ in ends)), float(max(high for _, high in ends))) if ends else (0.0, 0.0)


def predictions(
    measure: Predictions,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    quantity: int = 0,
) -> list[Artist]:
    """Draw predicted against true at one epoch, the last by default. Returns the artists."""
    limits = prediction_limits(measure, quantity)
    panel = PredictionsPanel(ax, measure, limits=limits, theme=THEMES[theme], quantity=quantity)
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def residuals(
    measure: Predictions,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    quantity: int = 0,
) -> list[Artist]:
    """Draw the histogram of the residuals at one epoch, the last by default. Returns the artists."""
    largest = largest_residual(measure, quantity)
    panel = ResidualsPanel(ax, measure, largest=largest, theme=THEMES[theme], quantity=quantity)
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists

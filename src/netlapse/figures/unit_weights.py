"""One unit: the weights into it and out of it, as bars or as an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from ..errors import Unsupported
from .panel import last_epoch, spines
from .shapes import fitted, text_width
from .theme import LABEL, THEMES, TICK, TITLE, style_axes
from .thumbnails import signed
from .unit_axes import BESIDE, ROW, TICKS, color_bar, finite, named, room_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import UnitWeights
    from .theme import Theme, ThemeName
    from .unit_axes import Room

MOST_BARS = 12


class WeightsPanel:
    """The weights into a unit, or out of it, as bars on one scale for the whole run; the largest where they are many.

    `weights` are those of many frames: the scale is taken from them. What is written fits Axes of so much `room`; by
    default they are as large as they are now.
    """

    def __init__(
        self,
        ax: Axes,
        weights: UnitWeights,
        *,
        theme: Theme,
        outgoing: bool = False,
        room: Room | None = None,
    ) -> None:
        self._outgoing = outgoing
        width, height = room or room_of(ax)
        other = weights.behind if outgoing else weights.before
        values = self._values(weights)
        units = values.shape[1] if outgoing else weights.incoming.shape[1]
        most = np.abs(finite(values)).max(axis=0)
        bars = int(height / ROW) - (values.shape[1] - units)
        self._chosen = [*_largest(most[:units], max(2, min(bars, MOST_BARS))), *range(units, values.shape[1])]
        rest = values.shape[1] - len(self._chosen)
        names = [f"$x_{{{k + 1}}}$" if other == "inputs" else f"unit {k}" for k in range(units)]
        names += ["bias"] * (values.shape[1] - units)
        words = f"weight ({rest} smaller)" if rest else "weight"
        # A label may reach as far beyond the Axes on both sides.
        words = words if text_width(words, LABEL) < width + 2 * BESIDE else f"{rest} smaller"
        title = f"{'To' if outgoing else 'From'} {named(other or '')}"
        style_axes(ax, theme, title=fitted(title, width + BESIDE, TITLE), xlabel=words)
        scale = weight_scale(weights)
        largest = 1.05 * scale
        self._heights = -np.arange(len(self._chosen), dtype=float)
        ax.set(xlim=(-largest, largest), ylim=(self._heights[-1] - 0.6, 0.6))
        ax.set_yticks(self._heights, [names[k] for k in self._chosen])
        ax.tick_params(axis="y", length=0)
        if width > 3 * TICKS:
            ax.xaxis.set_major_locator(MaxNLocator(3, symmetric=True))
        else:
            _mark_ends(ax, scale, width)
        ax.axvline(0, color=theme.line, linewidth=1, zorder=0.5)
        thickness = min(9.0, 0.5 * height / len(self._chosen))
        self._bars = LineCollection([], linewidth=thickness, capstyle="butt")
        ax.add_collection(self._bars, autolim=False)
        self._colors = np.array([theme.negative, theme.positive])
        self.artists: list[Artist] = [self._bars, *spines(ax)]

    def show(self, weights: UnitWeights) -> None:
        """Show the weights at their one frame."""
        values = finite(self._values(weights)[0, self._chosen])
        self._bars.set_segments([[(0, y), (value, y)] for value, y in zip(values, self._heights, strict=True)])
        self._bars.set_color(self._colors[(values > 0).astype(int)].tolist())

    def _values(self, weights: UnitWeights) -> Float[np.ndarray, "frame other"]:
        if self._outgoing:
            assert weights.outgoing is not None
            return weights.outgoing
        bias = [] if weights.bias is None else [weights.bias[:, None]]
        return np.concatenate([weights.incoming, *bias], axis=1)


class WeightImagePanel:
    """The weights into a unit as the image that it answers to most."""

    def __init__(self, ax: Axes, weights: UnitWeights, shape: tuple[int, int], *, theme: Theme) -> None:
        if math.prod(shape) != weights.incoming.shape[1]:
            raise Unsupported(
                f"unit {weights.unit} of layer {weights.layer!r} has {weights.incoming.shape[1]} incoming weights,"
                f" which are no image of shape {shape}; pass an image_shape of as many values, or none"
            )
        self._shape = shape
        style_axes(ax, theme, title=f"From {named(weights.before)}")
        ax.set(xticks=[], yticks=[])
        largest = weight_scale(weights)
        self._image = ax.imshow(
            np.zeros(shape), cmap=signed(theme), vmin=-largest, vmax=largest, interpolation="nearest", zorder=1
        )
        color_bar(ax, self._image, "weight", theme)
        self.artists: list[Artist] = [self._image]

    def show(self, weights: UnitWeights) -> None:
        """Show the weights at their one frame."""
        self._image.set_data(weights.incoming[0].reshape(self._shape))


def unit_weights(
    weights: UnitWeights,
    ax: Axes,
    *,
    outgoing: bool = False,
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw the weights into a unit, or out of it, at one epoch, the last by default. Returns what changes."""
    panel = WeightsPanel(ax, weights, theme=THEMES[theme], outgoing=outgoing)
    panel.show(weights.at(last_epoch(weights.epochs, epoch)))
    return panel.artists


def weight_scale(weights: UnitWeights) -> float:
    """The largest weight into or out of a unit at any frame."""
    columns = [weights.incoming, weights.bias, weights.outgoing]
    return max(float(np.abs(finite(column)).max(initial=0)) for column in columns if column is not None) or 1.0


def _largest(most: Float[np.ndarray, " weight"], count: int) -> list[int]:
    """All weights in their order if there is room; else the largest, in descending order."""
    if len(most) <= count:
        return list(range(len(most)))
    return np.argsort(-most, kind="stable")[:count].tolist()


def _mark_ends(ax: Axes, scale: float, width: float) -> None:
    """Ticks at 0 and at the largest weight of both signs, or as many of them as can be read."""
    end = float(f"{scale:.2g}")
    wide = text_width(f"-{end:g}", TICK) + 4
    ax.set_xticks([-end, 0, end] if width > 2 * wide else [-end, end] if width > wide else [end])
    ax.xaxis.set_major_formatter("{x:g}")

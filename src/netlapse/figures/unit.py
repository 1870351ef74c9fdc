"""One unit: what it computes over a plane of inputs, for which examples it is active, and its weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch
from matplotlib.ticker import MaxNLocator

from ..errors import Unsupported
from .groups import Groups
from .panel import last_epoch, spines
from .planes import Foot
from .shapes import EMPTY, Dots, edge, fitted, text_width
from .theme import LABEL, THEMES, TICK, TITLE, style_axes
from .thumbnails import signed
from .unit_life import unit_in_words

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.image import AxesImage
    from matplotlib.text import Text
    from numpy.typing import NDArray

    from ..measures import Unit, UnitLife, UnitWeights
    from .theme import Theme, ThemeName

    # Width and height in points.
    Room = tuple[float, float]

MOST_BARS = 12
_BINS = 40
# Points: a row of a histogram or of bars, with its name.
ROW, LONGEST = 1.05 * TICK, 90.0
# Points: what a title may reach beyond its Axes, without and with a colour bar there; a label below Axes; from tick to
# tick; Axes that a long note fits into.
_BESIDE, _BAR, _LABEL, _TICKS, _WIDE_NOTE = 17.0, 64.0, 17.5, 38.0, 160.0
_NOW = (
    "this epoch: line right for {:.0%} of the examples",
    "this epoch: line right for {:.0%}",
    "line right for {:.0%}",
)


class MapPanel:
    """The plane of inputs, coloured by the unit's activation on one scale for the whole run, with its hinge.

    The hinge is where the pre-activation is 0. `unit` is the unit at many frames: the scale is taken from them.
    What is written fits Axes of so much `room`; by default they are as large as they are now.
    """

    def __init__(
        self, ax: Axes, unit: Unit, *, theme: Theme, title: str | None = None, room: Room | None = None
    ) -> None:
        if unit.x is None or unit.y is None or unit.places is None or unit.projection is None:
            raise Unsupported(
                f"unit {unit.unit} of layer {unit.layer!r} was not evaluated over a plane of inputs; its map is drawn"
                " for inputs that are real numbers"
            )
        width, height = room or _room(ax)
        title = fitted(unit_title(unit) if title is None else title, width + _BAR, TITLE)
        wide = len(unit.projection.origin) > 2
        axes = unit.projection.axes if wide else ("input $x_1$", "input $x_2$")
        style_axes(ax, theme, title=title, xlabel=axes[0], ylabel=axes[1])
        assert unit.grid_activations is not None
        self._x, self._y = unit.x, unit.y
        largest = float(np.quantile(np.abs(_finite(unit.grid_activations)), 0.999)) or 1.0
        low, high = (0.0, 1.0) if unit.activation == "sigmoid" else (-largest, largest)
        box = float(unit.x[0]), float(unit.x[-1]), float(unit.y[0]), float(unit.y[-1])
        self._image = ax.imshow(
            unit.grid_activations[0], cmap=signed(theme, strength=0.6), vmin=low, vmax=high, extent=box, origin="lower",
            aspect="auto", interpolation="nearest", zorder=1,
        )  # fmt: skip
        self._hinge = PathPatch(EMPTY, facecolor="none", edgecolor=theme.ink, linewidth=1.8, zorder=2)
        ax.add_artist(self._hinge)
        self._hinge.set_clip_box(ax.bbox)
        ax.set(xlim=box[:2], ylim=box[2:])
        ax.xaxis.set_major_locator(MaxNLocator(_ticks(width), steps=(1, 2, 5, 10)))
        ax.yaxis.set_major_locator(MaxNLocator(_ticks(2 * height), steps=(1, 2, 5, 10)))
        self._dots = [Dots(ax, theme.muted)] if unit.task is None else Groups(unit.task, theme).dots(ax)
        for dots, (which, *_) in zip(self._dots, groups(unit, theme), strict=True):
            dots.set_positions(unit.places[which])
        words = "activation (line: z = 0)"
        bar = _bar(ax, self._image, words if text_width(words, LABEL) < height else "activation", theme)
        bar.ax.set_ylim(max(low, min(0.0, float(_finite(unit.grid_activations).min()))), high)
        self._note = _note(ax, theme, width)
        in_order = sorted(self._dots, key=Dots.get_zorder)
        self.artists: list[Artist] = [self._image, self._hinge, *in_order, self._note, *spines(ax)]
        self._foot: Foot | None = None
        if wide:
            lines = [f"plane of {len(unit.projection.origin)} inputs: {unit.projection.method}"]
            # The foot measures the Axes for itself.
            fit = [words for words in _NOW if text_width(words.format(1), TICK) <= _room(ax)[0]]
            self._now = (*fit, _NOW[-1])[0]
            self._foot = Foot(ax, lines, [self._now.format(1)], theme)
            self.artists += self._foot.artists

    def show(self, unit: Unit) -> None:
        """Show the unit at its one frame."""
        assert unit.grid_activations is not None
        assert unit.grid_pre_activations is not None
        self._image.set_data(unit.grid_activations[0])
        self._hinge.set_path(edge(self._x, self._y, unit.grid_pre_activations[0]))
        self._note.set_visible(not np.isfinite(unit.grid_pre_activations).all())
        if self._foot is not None and unit.agreement is not None:
            self._foot.show([self._now.format(unit.agreement[0])])


class HistogramPanel:
    """How many examples of each group, such as a class, the unit gives which activation, a row for each.

    `unit` is the unit at many frames: bins reach as far as its activations do. What is written fits Axes of so much
    `room`; by default they are as large as they are now.
    """

    def __init__(
        self, ax: Axes, unit: Unit, *, theme: Theme, title: str | None = None, room: Room | None = None
    ) -> None:
        width, height = room or _room(ax)
        lows, highs = np.quantile(_finite(unit.activations), (0.001, 0.999), axis=1)
        low, high = float(lows.min()), float(highs.max())
        span = high - low or 1.0
        self._edges = cast("NDArray[Any]", np.linspace(low - 0.02 * span, high + 0.02 * span, _BINS + 1))
        self._groups, colors, names = zip(*groups(unit, theme), strict=True)
        rows = len(names)
        words = "Activations of the examples"
        words = words if text_width(words, TITLE) < width + _BESIDE else "Activations"
        # The title says it as well.
        xlabel = "activation" if title or height > rows * ROW + _LABEL else ""
        style_axes(ax, theme, title=fitted(title or words, width + _BESIDE, TITLE), xlabel=xlabel)
        self._base = np.arange(rows)[::-1].astype(float)
        self._stairs = [
            ax.stairs(np.zeros(_BINS), self._edges, fill=True, color=color, linewidth=0, baseline=base)
            for base, color in zip(self._base, colors, strict=True)
        ]
        ax.set(xlim=(self._edges[0], self._edges[-1]), ylim=(0, rows))
        # Of rows lower than their names, every second is named, or fewer.
        every = max(1, math.ceil(rows * ROW / height)) if height > 0 else rows
        ax.set_yticks(self._base[::every] + 0.5, [fitted(name, LONGEST) for name in names[::every]])
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(_ticks(width)))
        self._note = _note(ax, theme, width)
        self.artists: list[Artist] = [*self._stairs, self._note, *spines(ax)]

    def show(self, unit: Unit) -> None:
        """Show the histogram at its one frame; heights are shares of a group, by their square root."""
        values = unit.activations[0]
        self._note.set_visible(not np.isfinite(values).all())
        inside = np.clip(values, self._edges[0], self._edges[-1])
        for stairs, which, base in zip(self._stairs, self._groups, self._base, strict=True):
            chosen = inside[which]
            counts = np.histogram(chosen[np.isfinite(chosen)], self._edges)[0]
            stairs.set_data(base + 0.92 * np.sqrt(counts / max(int(which.sum()), 1)), baseline=base)


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
        width, height = room or _room(ax)
        other = weights.behind if outgoing else weights.before
        values = self._values(weights)
        units = values.shape[1] if outgoing else weights.incoming.shape[1]
        most = np.abs(_finite(values)).max(axis=0)
        bars = int(height / ROW) - (values.shape[1] - units)
        self._chosen = [*_largest(most[:units], max(2, min(bars, MOST_BARS))), *range(units, values.shape[1])]
        rest = values.shape[1] - len(self._chosen)
        names = [f"$x_{{{k + 1}}}$" if other == "inputs" else f"unit {k}" for k in range(units)]
        names += ["bias"] * (values.shape[1] - units)
        words = f"weight ({rest} smaller)" if rest else "weight"
        # A label may reach as far beyond the Axes on both sides.
        words = words if text_width(words, LABEL) < width + 2 * _BESIDE else f"{rest} smaller"
        title = f"{'To' if outgoing else 'From'} {_named(other or '')}"
        style_axes(ax, theme, title=fitted(title, width + _BESIDE, TITLE), xlabel=words)
        scale = weight_scale(weights)
        largest = 1.05 * scale
        self._heights = -np.arange(len(self._chosen), dtype=float)
        ax.set(xlim=(-largest, largest), ylim=(self._heights[-1] - 0.6, 0.6))
        ax.set_yticks(self._heights, [names[k] for k in self._chosen])
        ax.tick_params(axis="y", length=0)
        if width > 3 * _TICKS:
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
        values = _finite(self._values(weights)[0, self._chosen])
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
        style_axes(ax, theme, title=f"From {_named(weights.before)}")
        ax.set(xticks=[], yticks=[])
        largest = weight_scale(weights)
        self._image = ax.imshow(
            np.zeros(shape), cmap=signed(theme), vmin=-largest, vmax=largest, interpolation="nearest", zorder=1
        )
        _bar(ax, self._image, "weight", theme)
        self.artists: list[Artist] = [self._image]

    def show(self, weights: UnitWeights) -> None:
        """Show the weights at their one frame."""
        self._image.set_data(weights.incoming[0].reshape(self._shape))


def unit(unit: Unit, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light") -> list[Artist]:
    """Draw what a unit computes over the plane of inputs at one epoch, the last by default. Returns what changes.

    Raises Unsupported for a unit that was not evaluated over a plane.
    """
    panel = MapPanel(ax, unit, theme=THEMES[theme])
    panel.show(unit.at(last_epoch(unit.epochs, epoch)))
    return panel.artists


def unit_histogram(
    unit: Unit,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw for which examples a unit is active at one epoch, the last by default. Returns what changes."""
    panel = HistogramPanel(ax, unit, theme=THEMES[theme])
    panel.show(unit.at(last_epoch(unit.epochs, epoch)))
    return panel.artists


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


def unit_title(unit: Unit, life: UnitLife | None = None) -> str:
    """Which unit it is, and when it was dead; what its activation function is where it never was."""
    words = unit_in_words(life, unit.unit) if life else ""
    return f"{_named(unit.layer)}, unit {unit.unit}: {words or unit.activation or 'linear'}"


def weight_scale(weights: UnitWeights) -> float:
    """The largest weight into or out of a unit at any frame."""
    columns = [weights.incoming, weights.bias, weights.outgoing]
    return max(float(np.abs(_finite(column)).max(initial=0)) for column in columns if column is not None) or 1.0


def groups(unit: Unit, theme: Theme) -> list[tuple[Bool[np.ndarray, " example"], str, str]]:
    """The examples, colour and name of each group; all in one where nothing tells them apart."""
    if unit.task is None:
        return [(np.ones(unit.activations.shape[1], bool), theme.muted, "all")]
    found = Groups(unit.task, theme)
    members = [found.of_example == number for number in range(len(found))]
    return list(zip(members, found.colors, found.names, strict=True))


def _largest(most: Float[np.ndarray, " weight"], count: int) -> list[int]:
    """All weights in their order if there is room; else the largest, in descending order."""
    if len(most) <= count:
        return list(range(len(most)))
    return np.argsort(-most, kind="stable")[:count].tolist()


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, 0)


def _named(layer: str) -> str:
    return f"layer {layer}" if layer.replace(".", "").isdecimal() else layer


def _room(ax: Axes) -> Room:
    width, height = (72 / ax.figure.dpi * size for size in ax.bbox.size)
    return width, height


def _ticks(width: float) -> int:
    """How many steps between ticks there is room for."""
    return max(2, min(5, int(width / _TICKS)))


def _mark_ends(ax: Axes, scale: float, width: float) -> None:
    """Ticks at 0 and at the largest weight of both signs, or as many of them as can be read."""
    end = float(f"{scale:.2g}")
    wide = text_width(f"-{end:g}", TICK) + 4
    ax.set_xticks([-end, 0, end] if width > 2 * wide else [-end, end] if width > wide else [end])
    ax.xaxis.set_major_formatter("{x:g}")


def _note(ax: Axes, theme: Theme, width: float) -> Text:
    words = "not a number:\nthe weights have diverged" if width > _WIDE_NOTE else "not a number"
    return ax.text(
        0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", fontsize=LABEL,
        color=theme.wrong, visible=False, zorder=5, bbox={"fc": theme.surface, "ec": theme.wrong},
    )  # fmt: skip


def _bar(ax: Axes, image: AxesImage, label: str, theme: Theme) -> Colorbar:
    bar = ax.figure.figure.colorbar(image, ax=ax, pad=0.02, aspect=26)
    bar.set_label(label, fontsize=LABEL, color=theme.ink)
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.muted, labelsize=TICK)
    cast("Any", bar.outline).set_edgecolor(theme.line)
    return bar

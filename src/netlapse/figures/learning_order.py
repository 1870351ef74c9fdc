"""The order of learning: which classes first, and every example's right and wrong epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from .legends import name_above, room
from .panel import last_epoch, spines
from .shapes import Ticker, fitted, text_width
from .theme import DASHES, THEMES, TICK, TITLE, Theme, blend, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from ..measures import ExampleDynamics
    from .theme import ThemeName

# More rows, or more columns, no screen can tell apart.
_ROWS, _COLUMNS = 300, 1000
# What the patch of a legend and the spaces around it take, in points.
_PATCH = 3.3 * TICK


class LearningOrderPanel:
    """Two Axes above each other: the share of each class that is learnt for good, and the barcode of all examples.

    Each row of the barcode is an example that is wrong at some epoch, those learnt first on top (where there are many,
    the mean of neighbours), each column an epoch. Up to six classes have a colour each; of more, the one half of which
    is learnt first and the one of which it is learnt last are coloured, and the others grey.
    """

    def __init__(self, axes: Sequence[Axes], measure: ExampleDynamics, *, theme: Theme) -> None:
        above, below = axes
        self._measure = measure
        edges = _edges(measure.epochs)
        for ax in axes:
            ax.set_xlim(edges[0], edges[-1])
            ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        self._draw_classes(above, theme)
        self._draw_barcode(below, edges, theme)
        self._lines = [ax.axvline(edges[-1], color=theme.ink, linewidth=1.2) for ax in axes]
        self._count = Ticker(1, 1.02, transform=below.transAxes, size=TICK, color=theme.ink)
        below.add_artist(self._count)
        self._count.set_clip_on(False)
        self.artists: list[Artist] = [*self._lines, self._count, *spines(above), *spines(below)]

    def show(self, epoch: float) -> None:
        """Move the line to this epoch, and count what is right at the frame before it."""
        epochs, right = self._measure.epochs, self._measure.right
        frame = int(np.searchsorted(epochs, epoch, side="right")) - 1
        for line in self._lines:
            line.set_xdata([epoch, epoch])
            line.set_visible(frame >= 0)
        self._count.set_text(f"{right[frame].mean():.1%} right" if frame >= 0 else "")

    def _draw_classes(self, ax: Axes, theme: Theme) -> None:
        measure = self._measure
        # In low Axes there is no room for a label at the side.
        title = "Order of learning: share learnt for good"
        style_axes(ax, theme, title=title if text_width(title, TITLE) < room(ax) else "Share learnt for good")
        ax.set_ylim(0, 1.03)
        ax.yaxis.set_major_formatter("{x:.0%}")
        ax.tick_params(labelbottom=False)
        shares = {int(k): _learnt(measure, int(k)) for k in np.unique(measure.labels)}
        coloured = [*shares]
        if len(shares) > len(theme.series):
            # By the epoch at which half of them is learnt; of equals by how much is learnt over all epochs.
            ranked = sorted(shares, key=lambda k: (-(shares[k] >= 0.5).sum(), -shares[k].sum()))
            coloured = [ranked[0], ranked[-1]]
        named: dict[int, Line2D] = {}
        for k, share in shares.items():
            place = coloured.index(k) if k in coloured else None
            [line] = ax.step(
                measure.epochs,
                share,
                where="post",
                color=theme.line if place is None else theme.series[place],
                linestyle=DASHES[place or 0],
                linewidth=0.8 if place is None else 2,
                zorder=2 if place is None else 3,
            )
            if place is not None:
                when = (" (learnt first)", " (learnt last)")[place] if len(shares) > len(coloured) else ""
                line.set_label(f"{fitted(measure.class_names[k], 90)}{when}")
                named[k] = line
        name_above(ax, [named[k] for k in coloured], theme)

    def _draw_barcode(self, ax: Axes, edges: Float[np.ndarray, " edge"], theme: Theme) -> None:
        measure = self._measure
        rows = measure.order()
        rows = rows[~measure.right[:, rows].all(axis=0)]
        style_axes(ax, theme, xlabel="epoch")
        wrong_right = (theme.wrong, to_hex(cast("Any", blend(theme.surface, theme.line, 0.4))))
        ax.imshow(
            _barcode(measure, rows),
            cmap=LinearSegmentedColormap.from_list("wrong_right", wrong_right),
            vmin=0,
            vmax=1,
            aspect="auto",
            interpolation="nearest",
            extent=(float(edges[0]), float(edges[-1]), 1, 0),
        )
        ax.set_yticks([])
        wide = 0.8 * room(ax) - _PATCH - text_width("100.0% right", TICK)
        labels = [f"wrong ({len(rows):,} examples ever)", f"wrong ({len(rows):,} ever)"]
        label = next((label for label in labels if text_width(label, TICK) < wide), "wrong")
        ax.legend(
            handles=[Patch(color=theme.wrong, label=label)],
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            frameon=False,
            fontsize=TICK,
            labelcolor=theme.ink,
            borderpad=0.1,
            borderaxespad=0.3,
            handlelength=1.2,
        )


def learning_order(
    measure: ExampleDynamics, axes: Sequence[Axes], *, epoch: float | None = None, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw shares learnt and barcode into two Axes, above and below, with a line at one epoch, the last by default.

    Returns the artists.
    """
    panel = LearningOrderPanel(axes, measure, theme=THEMES[theme])
    panel.show(last_epoch(measure.epochs, epoch))
    return panel.artists


def _learnt(measure: ExampleDynamics, label: int) -> Float[np.ndarray, " frame"]:
    """The share of a class that is learnt for good at each frame."""
    return (measure.for_good[None, measure.labels == label] <= measure.epochs[:, None]).mean(axis=1)


def _barcode(measure: ExampleDynamics, examples: NDArray[np.intp]) -> Float[np.ndarray, "row column"]:
    """Right as 1 and wrong as 0, example below example, as an image whose columns are equally long."""
    right: NDArray[Any] = measure.right[:, examples].T
    if len(right) == 0:
        return np.ones((1, 1))
    edges: NDArray[Any] = _edges(measure.epochs)
    if len(edges) > _COLUMNS or not np.allclose(np.diff(edges), edges[1] - edges[0]):
        middles = edges[0] + (edges[-1] - edges[0]) * (np.arange(_COLUMNS) + 0.5) / _COLUMNS
        right = right[:, np.searchsorted(edges, middles) - 1]
    starts = np.linspace(0, len(right), min(len(right), _ROWS), endpoint=False).astype(int)
    return np.add.reduceat(right, starts, axis=0, dtype=float) / np.diff([*starts, len(right)])[:, None]


def _edges(epochs: Float[np.ndarray, " frame"]) -> Float[np.ndarray, " edge"]:
    """Where the columns of frames begin and end: half way between them."""
    if len(epochs) == 1:
        return epochs[0] + np.array([-0.5, 0.5])
    middles = (epochs[1:] + epochs[:-1]) / 2
    return np.concatenate([[1.5 * epochs[0] - 0.5 * epochs[1]], middles, [1.5 * epochs[-1] - 0.5 * epochs[-2]]])

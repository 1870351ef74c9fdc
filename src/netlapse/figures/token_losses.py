"""The loss of every place of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from matplotlib import colormaps
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from .panel import Corner, last_epoch, spines
from .shapes import EMPTY, text_width
from .theme import LABEL, THEMES, TICK, Theme, style_axes

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..measures import LossByPlace
    from .theme import ThemeName

# Of more examples only some rows are numbered.
_MOST_ROWS = 12


class TokenLossesPanel:
    """Losses of some examples, a row for each and a column for each place, with their scale beside them.

    Places that do not count are grey. The scale, from 0 to `largest`, is the same at every frame; larger losses have
    its last colour.
    """

    def __init__(self, ax: Axes, measure: LossByPlace, *, largest: float, theme: Theme) -> None:
        style_axes(ax, theme, title="Loss of every token", ylabel="example")
        rows, places = measure.losses.shape[1:]
        colors = colormaps["viridis"].with_extremes(bad=theme.line)
        self._image = ax.imshow(
            np.zeros((rows, places)), cmap=colors, vmin=0, vmax=largest, aspect="auto", interpolation="nearest"
        )
        step = -(-rows // _MOST_ROWS)
        ax.set_yticks(range(0, rows, step), [str(number) for number in measure.chosen[::step]])
        ax.tick_params(length=0, labelbottom=False)
        bar = cast("Figure", ax.figure).colorbar(self._image, ax=ax, pad=0.02, fraction=0.05, extend="max")
        # The name of the loss, where there is room for it.
        room = 0.5 * ax.get_window_extent().height * 72 / cast("Figure", ax.figure).dpi
        name = measure.loss if text_width(measure.loss, LABEL) < room else "loss"
        bar.set_label(name, fontsize=LABEL, color=theme.ink)
        bar.ax.tick_params(colors=theme.muted, labelsize=TICK)
        cast("Patch", bar.outline).set_edgecolor(theme.line)
        self._note = Corner(ax, theme)
        self.artists: list[Artist] = [self._image, self._note, *spines(ax)]

    def show(self, measure: LossByPlace) -> None:
        """Show its one frame."""
        losses = measure.losses[0]
        self._image.set_data(np.ma.masked_invalid(losses))
        missing = int(np.isnan(losses).sum())
        text = f"{missing} not counted (grey)" if missing else ""
        self._note.set_choice(text if np.isfinite(measure.mean).any() else "not a number")


class PlaceLossesPanel:
    """Mean loss at each place over all examples, and the band that holds eight in ten of them."""

    def __init__(self, ax: Axes, measure: LossByPlace, *, largest: float, theme: Theme) -> None:
        style_axes(ax, theme, xlabel="place in the sequence", ylabel="mean loss")
        places = measure.mean.shape[1]
        ax.set(xlim=(-0.5, places - 0.5), ylim=(0, 1.05 * largest))
        color = theme.series[2]
        self._band = PathPatch(EMPTY, facecolor=color, alpha=0.25, linewidth=0)
        ax.add_patch(self._band)
        self._line = ax.add_line(Line2D([], [], color=color, linewidth=1.8, marker="o", markersize=3))
        ax.legend(
            [self._line, self._band],
            ["mean of all examples", "8 of 10 examples"],
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=2,
            frameon=False,
            fontsize=TICK,
            labelcolor=theme.ink,
            borderpad=0.1,
            borderaxespad=0.2,
            handlelength=1.4,
            columnspacing=1.0,
        )
        self.artists: list[Artist] = [self._band, self._line, *spines(ax)]

    def show(self, measure: LossByPlace) -> None:
        """Show its one frame."""
        self._line.set_data(range(measure.mean.shape[1]), measure.mean[0].tolist())
        self._band.set_path(_band(measure.low[0], measure.high[0]))


def _band(low: Float[np.ndarray, " place"], high: Float[np.ndarray, " place"]) -> Path:
    """The area between two curves, in pieces where there are none. A single place is as wide as its column."""
    counted = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], counted, [False]]).astype(int)))
    pieces: list[Path] = []
    for start, stop in edges.reshape(-1, 2).tolist():
        x = np.arange(start, stop, dtype=float)
        below, above = low[start:stop], high[start:stop]
        if stop - start == 1:
            x, below, above = x[0] + np.array([-0.5, 0.5]), np.repeat(below, 2), np.repeat(above, 2)
        outline = np.concatenate([np.stack([x, below], axis=1), np.stack([x, above], axis=1)[::-1]])
        pieces.append(Path(np.concatenate([outline, outline[:1]]), closed=True))
    return Path.make_compound_path(*pieces) if pieces else EMPTY


def largest_place_loss(measure: LossByPlace) -> float:
    """Where the scale of the losses ends: beyond all but 1 % of those shown, and all of the mean and its band."""
    values = measure.losses[np.isfinite(measure.losses)]
    ends = [float(np.quantile(values, 0.99))] if len(values) else []
    ends += [float(band[np.isfinite(band)].max()) for band in (measure.mean, measure.high) if np.isfinite(band).any()]
    return max([*ends, 1e-6])


def token_losses(
    measure: LossByPlace,
    ax: Axes,
    mean: Axes | None = None,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw the losses of all places at one epoch, the last by default, and on further Axes their mean by place.

    Returns the artists.
    """
    largest, now = largest_place_loss(measure), measure.at(last_epoch(measure.epochs, epoch))
    panels: list[TokenLossesPanel | PlaceLossesPanel] = [
        TokenLossesPanel(ax, measure, largest=largest, theme=THEMES[theme])
    ]
    if mean is not None:
        panels.append(PlaceLossesPanel(mean, measure, largest=largest, theme=THEMES[theme]))
    for panel in panels:
        panel.show(now)
    return [artist for panel in panels for artist in panel.artists]

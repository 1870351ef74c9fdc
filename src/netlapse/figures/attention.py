"""What the places of examples attend to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .mosaic import Mosaic, names_of, range_of, room_of, wrap
from .panel import last_epoch
from .theme import LABEL, THEMES, TICK, TITLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import AttentionMaps
    from .theme import Theme, ThemeName


# Points that the words about a row of maps take.
_WORDS = 1.8 * TICK


class AttentionPanel:
    """A map of queries (rows) and keys (columns) for each head; a row of maps for each example if there are several.

    `tokens` name the places; without, they are counted from 0. `largest` is where the scale ends.
    """

    def __init__(
        self,
        ax: Axes,
        measure: AttentionMaps,
        *,
        largest: float,
        theme: Theme,
        tokens: Sequence[str] | None = None,
    ) -> None:
        _, examples, heads, queries, keys = measure.weights.shape
        self._grid = wrap(heads) if examples == 1 else (examples, heads)
        self.mosaic = Mosaic(
            ax,
            self._grid,
            (queries, keys),
            limits=(0, largest),
            colors="viridis",
            unit="attention weight",
            theme=theme,
            title=f"Attention of {measure.layer}",
            gaps=(self._heading(ax, queries / keys), 0.08),
        )
        names = tuple(
            tokens if tokens is not None and len(tokens) == count else [str(place) for place in range(count)]
            for count in (queries, keys)
        )
        self.mosaic.label_within(self._grid, (names[0], names[1]))
        for row in range(self._grid[0]):
            left, _, _, top = self.mosaic.extent(row, 0)
            number = measure.examples[0 if examples == 1 else row]
            start = row * self._grid[1] if examples == 1 else 0
            shown = measure.heads[start : start + self._grid[1]].tolist()
            words = f"example {number} · head{'s' * (len(shown) > 1)} {', '.join(map(str, shown))}"
            ax.annotate(words, (left, top), (0, 3), textcoords="offset points", fontsize=TICK, color=theme.muted)
        # Above the words about the first row.
        ax.set_title(ax.get_title("left"), loc="left", fontsize=TITLE, color=theme.ink, pad=22)
        more = f"; {names_of(measure.heads, measure.total, 'head')}" if len(measure.heads) < measure.total else ""
        ax.set_xlabel(f"key{more}", fontsize=LABEL, color=theme.ink)
        ax.set_ylabel("query", fontsize=LABEL, color=theme.ink)
        self.artists: list[Artist] = self.mosaic.artists

    def _heading(self, ax: Axes, ratio: float) -> float:
        """The space for the words about a row, as a share of a tile's longer side."""
        wide, high = room_of(ax)
        across, down = wide / self._grid[1], high / self._grid[0] - _WORDS
        return min(1.0, _WORDS / max(min(across, down / ratio) * max(1, ratio), _WORDS))

    def show(self, measure: AttentionMaps) -> None:
        """Show the maps at its one frame."""
        maps = measure.weights[0].reshape(-1, *measure.weights.shape[3:])
        rows, columns = self._grid
        tiles = np.full((rows * columns, *maps.shape[1:]), np.nan, maps.dtype)
        tiles[: len(maps)] = maps
        self.mosaic.show(tiles.reshape(rows, columns, *maps.shape[1:]), maps)


def attention(
    measure: AttentionMaps,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    tokens: Sequence[str] | None = None,
) -> list[Artist]:
    """Draw attention maps at one epoch, the last by default; `tokens` name the places. Returns the artists."""
    panel = AttentionPanel(ax, measure, largest=range_of(measure.weights)[1], theme=THEMES[theme], tokens=tokens)
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists

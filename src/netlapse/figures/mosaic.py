"""Many small images of one scale in rows and columns, drawn as one."""

from __future__ import annotations

from math import ceil, inf, log
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize

from .blocks import Blocks, M, frames_within, overview
from .shapes import text_width
from .theme import LABEL, TICK, style_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float, Int
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .theme import Theme

    Tiles = Float[np.ndarray, "row column y x"]

# Pixels of a tile's longer side, if it has no more values; how much longer that side may be than the other.
_SIDE, _LONGEST = 24, 4


class Mosaic:
    """Tiles on Axes of their own. Those that are not a number are left empty, and a note says so.

    `shape` is that of the grid, `tile` that of one tile, `gaps` the space between them, as shares of a tile.
    """

    def __init__(
        self,
        ax: Axes,
        shape: tuple[int, int],
        tile: tuple[int, int],
        *,
        limits: tuple[float, float],
        colors: str,
        unit: str,
        theme: Theme,
        title: str,
        gaps: tuple[float, float] = (0.08, 0.08),
    ) -> None:
        style_axes(ax, theme, title=title)
        rows, columns = tile
        each = max(1, round(_SIDE / max(tile)))
        self._repeat = each * max(1, ceil(columns / rows / _LONGEST)), each * max(1, ceil(rows / columns / _LONGEST))
        self._size = rows * self._repeat[0], columns * self._repeat[1]
        self._gap = tuple(max(1, round(share * max(self._size))) for share in gaps)
        high, wide = ((n * (size + gap) - gap) for n, size, gap in zip(shape, self._size, self._gap, strict=True))
        self._canvas = np.full((high, wide), np.nan, np.float32)
        # Beyond this, pixels of the image would be passed over.
        smoothing = "nearest" if max(high, wide) < 1000 else "auto"
        low, largest = limits
        norm = Normalize(low, largest if largest > low else low + 1)
        self.image = ax.imshow(self._canvas, cmap=_colormap(colors), norm=norm, interpolation=smoothing)
        self.ax, self._theme = ax, theme
        for spine in ax.spines.values():
            spine.set_visible(False)
        self.fit()
        ax.set(xticks=[], yticks=[])
        ax.tick_params(length=0)
        self._scale(unit)
        self._note = ax.text(
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
            bbox={"facecolor": theme.surface, "edgecolor": "none", "pad": 2},
        )
        self.artists: list[Artist] = [self.image, self._note]

    def show(self, tiles: Tiles, values: Float[np.ndarray, ...]) -> None:
        """Show these tiles; `values` are those that should be numbers: a grid may have places without a tile."""
        for row, column in np.ndindex(*tiles.shape[:2]):
            top, left = self.corner(row, column)
            one = tiles[row, column].repeat(self._repeat[0], 0).repeat(self._repeat[1], 1)
            self._canvas[top : top + self._size[0], left : left + self._size[1]] = one
        self.image.set_data(np.where(np.isfinite(self._canvas), self._canvas, np.nan))
        self._note.set_visible(not np.isfinite(values).all())

    def fit(self) -> None:
        """Show all tiles, whatever else was drawn on the Axes since."""
        high, wide = self._canvas.shape
        self.ax.set(xlim=(-0.5, wide - 0.5), ylim=(high - 0.5, -0.5))

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """The first pixel of a tile: its row and column in the image."""
        return row * (self._size[0] + self._gap[0]), column * (self._size[1] + self._gap[1])

    def extent(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Where a tile lies: left, right, bottom, top in data coordinates."""
        top, left = self.corner(row, column)
        return left - 0.5, left + self._size[1] - 0.5, top + self._size[0] - 0.5, top - 0.5

    def label_columns(self, names: Sequence[str]) -> None:
        """Name the columns of tiles below them."""
        self._label("x", [sum(self.extent(0, column)[:2]) / 2 for column in range(len(names))], names)

    def label_rows(self, names: Sequence[str], each: int = 1) -> None:
        """Name the rows of tiles at their left, or of so many rows each."""
        ends = [self.extent(row, 0)[2:] for row in range(each * len(names))]
        places = [(ends[row][1] + ends[row + each - 1][0]) / 2 for row in range(0, len(ends), each)]
        self._label("y", places, names)

    def label_within(self, shape: tuple[int, int], names: tuple[Sequence[str], Sequence[str]]) -> None:
        """Name the rows and the columns of values within the tiles, at the left and below."""
        for axis, direction in enumerate("yx"):
            step = self._repeat[axis]
            places = [
                self.corner(number, number)[axis] + (one + 0.5) * step - 0.5
                for number in range(shape[axis])
                for one in range(len(names[axis]))
            ]
            self._label(direction, places, [*names[axis]] * shape[axis], len(names[axis]))

    def _label(self, direction: str, places: list[float], names: Sequence[str], period: int = 1) -> None:
        """Write as many names as there is room for, the same ones of each tile."""
        high, wide = self._canvas.shape
        points = min(size / length for size, length in zip(room_of(self.ax), (wide, high), strict=True))
        between = points * (places[1] - places[0]) if len(places) > 1 else inf
        longest = max(text_width(name, TICK) for name in names)
        upright = direction == "x" and longest > between and max(map(len, names)) > 3
        needed = longest + 5 if direction == "x" and not upright else 1.25 * TICK
        step = max(1, ceil(needed / between))
        kept: list[int] = []
        for n in range(len(places)):
            first = period > 1 and n % period == 0
            if first and kept and points * (places[n] - places[kept[-1]]) < needed:
                kept.pop()  # too near to this tile's first
            if first or (n % period if period > 1 else n) % step == 0:
                kept.append(n)
        setter: Any = getattr(self.ax, f"set_{direction}ticks")
        setter([places[n] for n in kept], [names[n] for n in kept], rotation=90 if upright else 0)

    def _scale(self, unit: str) -> None:
        place = self.ax.inset_axes((1.03, 0, 0.035, 1))
        bar = cast("Figure", self.ax.figure).colorbar(self.image, cax=place)
        bar.set_label(unit, fontsize=LABEL, color=self._theme.ink)
        place.tick_params(colors=self._theme.muted, labelcolor=self._theme.muted, labelsize=TICK)
        bar.outline.set_visible(False)


def room_of(ax: Axes) -> tuple[float, float]:
    """Width and height of Axes in points, about, before they are laid out."""
    box, figure = ax.get_position(), cast("Figure", ax.figure)
    return 0.85 * 72 * box.width * figure.get_figwidth(), 0.85 * 72 * box.height * figure.get_figheight()


def _colormap(name: str) -> Any:
    return colormaps[name].with_extremes(bad=(0, 0, 0, 0))


def wrap(count: int, height: int = 1, ratio: float = 1.3) -> tuple[int, int]:
    """Rows and columns for so many tiles, each `height` times as high as wide, all `ratio` times as wide as high."""
    columns = min(
        range(1, count + 1), key=lambda n: abs(log(n / (ceil(count / n) * height) / ratio)) + 0.5 * (-count % n) / n
    )
    return ceil(count / columns), columns


def names_of(numbers: Int[np.ndarray, " number"], total: int, what: str) -> str:
    """What is shown of how many, such as "units (8 of 32)"."""
    return f"{what}s ({len(numbers)} of {total})" if len(numbers) < total else f"{what}s"


def steady(
    compute: Callable[[Sequence[float]], M],
    epochs: Float[np.ndarray, " frame"],
    values: Callable[[M], Float[np.ndarray, ...]],
) -> tuple[Blocks[M], M, tuple[float, float]]:
    """The measure at any epoch, at the first, and the least and the largest finite value of the whole run.

    Those of a long run are found in evenly spaced frames.
    """
    first = compute(epochs[:1].tolist())
    at_once = frames_within(first.frame_bytes)
    shown, ranges = overview(epochs), list[tuple[float, float]]()
    for start in range(0, len(shown), at_once):
        ranges.append(range_of(values(compute(shown[start : start + at_once]))))
    limits = min(low for low, _ in ranges), max(high for _, high in ranges)
    return Blocks(compute, epochs, at_once=at_once), first, limits


def range_of(values: Float[np.ndarray, ...]) -> tuple[float, float]:
    """The least and the largest of the values that are finite; 0 and 0 if none is."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)

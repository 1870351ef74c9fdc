"""Where panels go: an automatic layout by the cells that each would like."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Place = tuple[slice, slice]

# Labels take more room beside Axes than below them.
_BEST = 1.15
_MOST_ROWS = 6


@dataclass(frozen=True)
class Layout:
    """A grid of cells, and for each panel the rows and columns that it takes."""

    rows: int
    columns: int
    places: tuple[Place, ...]


def arrange(spans: Sequence[tuple[int, int]], ratio: float) -> Layout:
    """Place panels of these spans (rows, columns) in a picture whose width is `ratio` times its height.

    Panels fill columns from the left, each from the top, in the order given. The number of rows is that with which the
    panels come nearest to the shapes that they would like, with the fewest cells left empty.
    """
    tallest = max(rows for rows, _ in spans)
    candidates = [_pack(spans, rows) for rows in range(1, max(_MOST_ROWS, tallest) + 1)]

    def cost(layout: Layout) -> float:
        """How far the panels are from the shapes that they would like, and how much stays empty."""
        cell = ratio * layout.rows / layout.columns
        shapes = [
            abs(log(cell / _BEST * (columns.stop - columns.start) / (rows.stop - rows.start) * high / wide))
            for (rows, columns), (high, wide) in zip(_stretched(layout), spans, strict=True)
        ]
        used = sum(_cells(place) for place in layout.places) / (layout.rows * layout.columns)
        # Panels that are small because there are many rows and columns tell less.
        return sum(shapes) / len(shapes) + 1.5 * (1 - used) + 0.02 * layout.rows * layout.columns / len(spans)

    best = min(candidates, key=cost)
    return Layout(best.rows, best.columns, _stretched(best))


def _pack(spans: Sequence[tuple[int, int]], rows: int) -> Layout:
    taken: set[tuple[int, int]] = set()
    places: list[Place] = []
    for high, wide in spans:
        # A panel higher than the picture gets what there is.
        high = min(high, rows)
        column, row = next(
            (column, row)
            for column, row in product(range(4 * len(spans) + 1), range(rows - high + 1))
            if not taken & {(row + down, column + right) for down in range(high) for right in range(wide)}
        )
        taken |= {(row + down, column + right) for down in range(high) for right in range(wide)}
        places.append((slice(row, row + high), slice(column, column + wide)))
    return Layout(rows, max(columns.stop for _, columns in places), tuple(places))


def _stretched(layout: Layout) -> tuple[Place, ...]:
    """Let panels at the right and at the bottom grow into cells that would stay empty."""
    places = list(layout.places)

    def free(cells: set[tuple[int, int]], own: int) -> bool:
        others = [_cell_set(place) for number, place in enumerate(places) if number != own]
        return not any(cells & other for other in others)

    for number, (rows, columns) in enumerate(places):
        while rows.stop < layout.rows and free(_cell_set((slice(rows.start, rows.stop + 1), columns)), number):
            rows = slice(rows.start, rows.stop + 1)
        while columns.stop < layout.columns and free(_cell_set((rows, slice(columns.start, columns.stop + 1))), number):
            columns = slice(columns.start, columns.stop + 1)
        places[number] = (rows, columns)
    return tuple(places)


def _cells(place: Place) -> int:
    return len(_cell_set(place))


def _cell_set(place: Place) -> set[tuple[int, int]]:
    rows, columns = place
    return set(product(range(rows.start, rows.stop), range(columns.start, columns.stop)))

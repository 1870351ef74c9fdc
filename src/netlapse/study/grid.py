"""A statistic of each combination of two hyper-parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .outcomes import outcomes, split
from .shares import share

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from jaxtyping import Float, Int

    from .outcomes import Outcomes


@dataclass(frozen=True)
class Grid:
    """A statistic of each combination of two hyper-parameters, NaN where there are no networks, and how many."""

    row_name: str
    column_name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    statistic: str
    values: Float[np.ndarray, "row column"]
    n: Int[np.ndarray, "row column"]
    diverged: Int[np.ndarray, "row column"]


def grid(
    table: pd.DataFrame,
    rows: str,
    columns: str,
    statistic: Callable[[Outcomes], float] | None = None,
    name: str = "share ever right",
) -> Grid:
    """A statistic of the networks of each combination of two hyper-parameters: the share ever right, or another."""
    every, down, across = outcomes(table), split(table, rows), split(table, columns)
    values = np.full((len(down), len(across)), np.nan)
    n, diverged = np.zeros(values.shape, int), np.zeros(values.shape, int)
    for r, row in enumerate(down.values()):
        for c, column in enumerate(across.values()):
            chosen = np.intersect1d(row, column)
            if len(chosen):
                part = every.of(chosen)
                values[r, c] = share(part).value if statistic is None else statistic(part)
                n[r, c], _, diverged[r, c] = part.counts()
    return Grid(rows, columns, tuple(down), tuple(across), name, values, n, diverged)

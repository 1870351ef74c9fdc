"""Which networks of a study to look at: the best, those that failed, or those for which something holds."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadQuery
from .rows import COLUMNS
from .space import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from .space import Setting

_RANKED = ("best", "worst", "median")
RULES = (*_RANKED, "failed")
# Columns of metrics and classes, of which there is nothing to be known before networks are trained.
_LATER = re.compile(r"\b(?:final|first_right)_\w+")


def choose(table: pd.DataFrame, rule: str, most: int, *, by_setting: bool) -> list[int]:
    """Numbers of networks of a table by one of the `RULES` or a pandas query: at most so many, or so many of a setting.

    Raises BadQuery for a query that makes no sense of this table.
    """
    if rule == "failed":
        never = table["first_right"].isna() if "first_right" in table else False
        table = table[(table["status"] == "diverged") | never]
    elif rule not in _RANKED:
        table = table[_holds(table, rule)]
    groups: list[pd.DataFrame] = [rows for _, rows in table.groupby("setting")] if by_setting else [table]
    return [number for rows in groups for number in _some(rows, rule, most)]


def _some(table: pd.DataFrame, rule: str, most: int) -> list[int]:
    if rule in _RANKED:
        table = table.sort_values("final_loss", na_position="last")
    numbers: list[int] = table["network"].tolist()
    if rule == "worst":
        numbers.reverse()
    first = max(0, (len(numbers) - most) // 2) if rule == "median" else 0
    return numbers[first : first + most]


def check(rule: str, settings: Sequence[Setting]) -> None:
    """Raise BadQuery for a rule that makes no sense whatever becomes of the networks of these settings."""
    if rule in RULES:
        return
    columns: dict[str, Any] = dict.fromkeys([*COLUMNS, *_LATER.findall(rule)], 0.0)
    columns |= {"status": "trained", "mode": "exact"}
    columns |= {name: [plain(setting[name]) for setting in settings] for name in settings[0]}
    _holds(import_module("pandas").DataFrame(columns, index=range(len(settings))), rule)


def _holds(table: pd.DataFrame, query: str) -> NDArray[np.bool_]:
    """For which networks the query holds."""
    try:
        found = np.asarray(table.eval(query))
    # What pandas and Python raise of what they cannot parse may be anything.
    except Exception as error:
        raise BadQuery(
            f"{query!r} is neither {', '.join(RULES[:-1])} nor {RULES[-1]}, nor a query that the table can answer"
            f" ({error}); its columns are {', '.join(table.columns)}"
        ) from error
    if found.dtype != np.bool_ or found.shape != (len(table),):
        raise BadQuery(f'{query!r} is nothing that holds or does not; compare, such as "final_loss < 0.1"')
    return found

"""The runs of a folder as a pandas table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .columns import columns
from .gather import rows

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def runs(root: str | Path, where: str | None = None, sort: str | None = None) -> pd.DataFrame:
    """The runs below a folder, one row each, as a pandas DataFrame.

    Columns, as far as the runs have them:

    - `path` (for `netlapse.open`), `name`, `id`, `status` ("recording", "complete", "interrupted", or "damaged": then
      `problem` says why), `frames`, `first_epoch`, `last_epoch`, `last_step`, `seconds`, `framework`, `backend`,
      `created`, `bytes` (of all its files), `parameters` (how many numbers the weights are);
    - every hyper-parameter under its own name. One that is named as a column above, or begins with `final.`, `min.` or
      `max.`, is found as `hyperparameters.NAME`, unless it says the same;
    - `final.loss` and so on: what was logged at the last frame; `min.loss` and `max.loss`: the least and the greatest.

    `where` keeps the runs for which an expression holds, such as "activation == 'relu' and final.loss < 0.1". It is
    never run as code. There are names (dotted ones are one name; `run["val/loss"]` for those that Python cannot
    write), numbers, texts, lists, arithmetic, comparisons, `in`, `and`, `or`, `not`, and abs, len, max, min, round. A
    comparison with what a run lacks does not hold. `sort` is a column, "-created" for the greatest first; else the runs
    come by path.

    An index in `ROOT/.netlapse.sqlite` makes the next call fast. It is made anew where a run has changed, and may be
    deleted. Weights are not read: `netlapse verify` does, and tells whether any byte of a run is damaged.

    Raises RunError if `root` is no folder, BadQuery if `where` or `sort` cannot be understood or names what no run
    has, ImportError without pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("netlapse.runs needs pandas; install it with: pip install 'netlapse[table]'") from error
    found = rows(root, where, sort)
    return pd.DataFrame(found, columns=columns(found))

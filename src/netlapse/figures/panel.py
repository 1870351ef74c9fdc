"""What the panels share.

A panel draws one measure on Axes and makes all its artists once. `show` takes the measure at one epoch and changes
their data; `artists` are those that change, in drawing order, the spines last so that nothing covers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

CLASS_NAMES = ("negative", "positive")


def last_epoch(epochs: Float[np.ndarray, " frame"], epoch: float | None) -> float:
    return float(epochs[-1]) if epoch is None else epoch


def spines(ax: Axes) -> list[Artist]:
    return [spine for spine in ax.spines.values() if spine.get_visible()]

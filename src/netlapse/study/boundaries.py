"""Where networks of a study draw the line between two classes, as values: how they are computed is in `planes`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Boundaries:
    """What some networks, named by their ids, make of the plane of their inputs, and the examples they were trained on.

    A logit above 0 is the second class; `labels` are 0 or 1.
    """

    networks: Int[np.ndarray, " network"]
    x: Float[np.ndarray, " column"]
    y: Float[np.ndarray, " row"]
    logits: Float[np.ndarray, "network row column"]
    points: Float[np.ndarray, "example 2"]
    labels: Int[np.ndarray, " example"]

    def first(self, most: int) -> Boundaries:
        """Those of the first networks only."""
        return replace(self, networks=self.networks[:most], logits=self.logits[:most])

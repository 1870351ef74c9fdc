"""What the places of an example attend to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .timeline import Timeline

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class AttentionMaps(Timeline):
    """Attention weights of examples at each frame: how much each query takes from each key, 1 over all keys.

    `heads` are the numbers of those shown, of `total`; `examples` places in the probe.
    """

    layer: str
    total: int
    heads: Int[np.ndarray, " head"]
    examples: Int[np.ndarray, " example"]
    weights: Float[np.ndarray, "frame example head query key"]

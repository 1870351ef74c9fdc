"""`Network`: the only seam between the replay and a framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from jaxtyping import Float, Shaped
    from numpy.typing import NDArray

    # Stacked weights of some frames, by parameter: each (frame, ...).
    StackedWeights = Mapping[str, NDArray[Any]]

Moment = Literal["pre_activation", "activation"]


@dataclass(frozen=True)
class Tap:
    """A place in the network where values can be read: a layer, before or after its activation function."""

    layer: str
    moment: Moment = "activation"


class Network(Protocol):
    """A network without weights of its own, evaluated for many frames at once. Arrays are NumPy's."""

    @property
    def output(self) -> str:
        """Name of the layer whose activation is the network's output."""
        ...

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one example."""
        ...

    @property
    def values_per_example(self) -> int:
        """Numbers that one evaluation of one example by one frame holds, over all layers."""
        ...

    @property
    def logits(self) -> Tap | None:
        """Where the logits of the output can be read; None if the network has none."""
        ...

    def forward(
        self,
        weights: StackedWeights,
        inputs: Shaped[np.ndarray, "example ..."],
        taps: Sequence[Tap],
        start: str | None = None,
    ) -> list[Float[np.ndarray, "frame example ..."]]:
        """Values at each tap, in inference mode. With `start`, inputs are activations of that layer."""
        ...

    def losses(
        self,
        weights: StackedWeights,
        inputs: Shaped[np.ndarray, "example ..."],
        targets: Shaped[np.ndarray, "example ..."],
    ) -> Float[np.ndarray, "frame example"]:
        """Loss of each example, without regularisation and example weights."""
        ...

    def gradients(
        self,
        weights: StackedWeights,
        inputs: Shaped[np.ndarray, "example ..."],
        targets: Shaped[np.ndarray, "example ..."],
    ) -> dict[str, NDArray[Any]]:
        """Gradient of the examples' mean loss by trainable parameter, each (frame, ...)."""
        ...

    def metric(
        self,
        name: str,
        outputs: Float[np.ndarray, "frame example ..."],
        targets: Shaped[np.ndarray, "example ..."],
    ) -> Float[np.ndarray, " frame"]:
        """One of the framework's metrics, evaluated on outputs."""
        ...

    def model(self, weights: Mapping[str, NDArray[Any]]) -> Any:
        """The framework's own model, holding these weights of one frame."""
        ...

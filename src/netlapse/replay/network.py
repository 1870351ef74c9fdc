"""`Network`: the only seam between the replay and a framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from jaxtyping import Float
    from numpy.typing import NDArray

    from ..store import Arrays

    # Stacked weights of some frames, by parameter: each (frame, ...).
    StackedWeights = Mapping[str, NDArray[Any]]
    Shape = tuple[int | None, ...]

Moment = Literal["pre_activation", "activation"]


@dataclass(frozen=True)
class Tap:
    """A place in the network where values can be read: a layer, before or after its activation function."""

    layer: str
    moment: Moment = "activation"


class Network(Protocol):
    """A network without weights of its own, evaluated for many frames at once. Arrays are NumPy's."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names under which the network's outputs are tapped: of the layers that make them, where layers do."""
        ...

    @property
    def input_shapes(self) -> Mapping[str, Shape] | None:
        """Shape of one example by input, the only one has the name ""; None if the network does not know."""
        ...

    def values_per_example(self, inputs: Arrays) -> int:
        """Numbers that one evaluation of one example (1, ...) by one frame holds, over all layers."""
        ...

    @property
    def logits(self) -> Tap | None:
        """Where the logits of the output can be read; None if the network has none."""
        ...

    def forward(
        self,
        weights: StackedWeights,
        inputs: Arrays,
        taps: Sequence[Tap],
        start: str | None = None,
    ) -> list[Float[np.ndarray, "frame example ..."]]:
        """Values at each tap, in inference mode. With `start`, inputs are activations of that layer."""
        ...

    def losses(
        self,
        weights: StackedWeights,
        inputs: Arrays,
        targets: Arrays,
    ) -> Float[np.ndarray, "frame example"]:
        """Loss of each example, without regularisation and example weights."""
        ...

    def token_losses(
        self,
        weights: StackedWeights,
        inputs: Arrays,
        targets: Arrays,
    ) -> Float[np.ndarray, "frame example ..."]:
        """Loss of each place of each example, such as a token or a pixel; NaN where it does not count."""
        ...

    def gradients(
        self,
        weights: StackedWeights,
        inputs: Arrays,
        targets: Arrays,
    ) -> dict[str, NDArray[Any]]:
        """Gradient of the examples' mean loss by trainable parameter, each (frame, ...)."""
        ...

    def metric(
        self,
        name: str,
        outputs: Float[np.ndarray, "frame example ..."],
        targets: NDArray[Any],
    ) -> Float[np.ndarray, " frame"]:
        """One of the framework's metrics, evaluated on outputs."""
        ...

    def model(self, weights: Mapping[str, NDArray[Any]]) -> Any:
        """The framework's own model, holding these weights of one frame."""
        ...

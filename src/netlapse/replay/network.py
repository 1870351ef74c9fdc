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
    from .link import Link

    # Stacked weights of some frames, by parameter: each (frame, ...).
    StackedWeights = Mapping[str, NDArray[Any]]
    Shape = tuple[int | None, ...]

Moment = Literal["pre_activation", "activation", "attention"]


@dataclass(frozen=True)
class Tap:
    """A place in the network where values can be read.

    A layer, before or after its activation function; or its attention weights, (frame, example, head, query, key).
    """

    layer: str
    moment: Moment = "activation"


@dataclass(frozen=True)
class Head:
    """How an output is read: where its scores are, and what makes probabilities of them.

    With `log`, the values at the tap are probabilities: their logarithms are the scores, for "sigmoid" their log-odds.
    """

    tap: Tap
    link: Link
    log: bool = False

    @property
    def is_logit(self) -> bool:
        """Whether the output itself, as the network makes it, is scores."""
        return self.link != "identity" and self.tap.moment == "activation" and not self.log


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

    def head(self, output: str) -> Head:
        """How one of `outputs` is read."""
        ...

    def targets_of(self, targets: Arrays) -> list[NDArray[Any] | None]:
        """The targets in the order of `outputs`; None for an output that has none."""
        ...

    @property
    def attention_layers(self) -> tuple[str, ...]:
        """Names of the layers whose attention weights can be read."""
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

    def layer_gradients(
        self,
        weights: StackedWeights,
        inputs: Arrays,
        targets: Arrays,
        layers: Sequence[str],
    ) -> list[Float[np.ndarray, "frame example ..."]]:
        """Gradient of each example's loss by the pre-activations of each layer, in inference mode.

        Shapes are those of the pre-activations. NaN where the example's loss is.
        """
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


def in_order(targets: Mapping[str, Any], outputs: Sequence[str]) -> list[Any]:
    """Targets in the order of the outputs, which they have the names or else the places of; None for those without."""
    if len(targets) == len(outputs) == 1:
        return [*targets.values()]
    names = outputs if targets.keys() <= set(outputs) else [str(place) for place in range(len(outputs))]
    return [targets.get(name) for name in names]

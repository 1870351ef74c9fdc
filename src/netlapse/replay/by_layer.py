"""All values that a layer has at a frame, of one kind: its weights, what it makes of the probe, the gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from .. import measures
from ..errors import Unsupported
from ..measures import Kind
from ..store.examples import count, each
from .network import Tap
from .values import BLOCK_BYTES, Values, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

    from ..measures import Parameters
    from ..store import Parameter
    from .frames import Epochs
    from .values import Split

# Evenly spaced examples are as good as all where they have so many values, over all layers.
MOST_VALUES = 2**21


@dataclass(frozen=True)
class LayerValues:
    """The values of some layers: `at` gives each layer's (frame, value) at the frames of these numbers.

    `examples` says of how many examples of how many, None for weights; `frames_at_once` how many frames take little
    memory.
    """

    layers: list[str]
    at: Callable[[NDArray[np.intp]], list[NDArray[Any]]]
    examples: tuple[int, int] | None
    frames_at_once: int


class ByLayer(Values):
    """The arrays of a run, layer by layer."""

    def distributions(
        self,
        kind: Kind,
        layers: Sequence[str] | None = None,
        epoch: Epochs = None,
        *,
        split: Split = "train",
        log: bool = False,
        parameters: Parameters = "kernels",
        edges: Float[np.ndarray, "layer edge"] | None = None,
    ) -> measures.Distributions:
        """How the values of each layer are distributed, and their statistics; see `measures.Distributions`.

        `kind` is "weights", "gradients" (dL/dW), "layer_gradients" (dL/dz), "pre_activations" or "activations", of the
        examples of `split`. `layers` are all by default that have kernels, and for activations those too that apply
        an activation function. Of a layer's weights `parameters` are its kernels, its biases (and scales), or all.
        With `log`, magnitudes are shown. Of very many values every so many examples are looked at. The bins have the
        `edges` (layer, edge) of another part of the run if those are given.
        Raises ValueError for other kinds, UnknownName for layers that are not there, Unsupported where there is nothing
        of this kind.
        """
        values = self._by_layer(kind, layers, split, parameters)
        return measures.distributions(
            lambda epochs: values.at(self._select(epochs)),
            kind=kind,
            layers=values.layers,
            epochs=self.epochs[self._select(epoch)],
            run_epochs=self.epochs,
            log=log,
            examples=values.examples,
            frames_at_once=values.frames_at_once,
            edges=edges,
        )

    def _by_layer(self, kind: Kind, layers: Sequence[str] | None, split: Split, parameters: Parameters) -> LayerValues:
        """The values of one kind. Raises what `Replay.distributions` does."""
        if kind not in get_args(Kind):
            raise ValueError(f"there are no distributions of {kind!r}; there are {', '.join(get_args(Kind))}")
        weights = self._weights_of(parameters, trainable=kind == "gradients")
        names = self._layers_of(kind, layers, list(weights))
        if kind == "weights":
            size = sum(math.prod(weight.shape) for layer in names for weight in weights[layer])
            return LayerValues(
                names,
                lambda numbers: [_flat([self.run.weights(w.name, numbers) for w in weights[name]]) for name in names],
                None,
                max(1, BLOCK_BYTES // (8 * size)),
            )
        inputs, targets = self.inputs(split), self.targets(split)
        seen = total = count(inputs)
        if kind != "gradients":
            seen = min(total, max(1, MOST_VALUES // self._values_per_example))
            rows = np.linspace(0, total - 1, seen).round().astype(int)
            inputs, targets = (each(arrays, lambda array: array[rows]) for arrays in (inputs, targets))

        def at(numbers: NDArray[np.intp]) -> list[NDArray[Any]]:
            if kind == "gradients":
                found = self.gradients(self.epochs[numbers].tolist(), inputs, targets)
                return [_flat([found[weight.name] for weight in weights[name]]) for name in names]
            if kind == "layer_gradients":
                blocks = self._layer_gradients(names, numbers, inputs, targets)
                return [_flat([values]) for values in joined(blocks, len(numbers), seen)]
            moment = "activation" if kind == "activations" else "pre_activation"
            return [_flat([values]) for values in self._evaluate([Tap(n, moment) for n in names], numbers, inputs)]

        return LayerValues(names, at, (seen, total), max(1, self._frames_at_once(seen) // 2))

    def _weights_of(self, parameters: Parameters, *, trainable: bool) -> dict[str, list[Parameter]]:
        """The parameters meant, by layer."""
        found: dict[str, list[Parameter]] = {}
        for weight in self.run.manifest.parameters:
            kernel = len(weight.shape) > 1 and "bias" not in weight.name.replace(".", "/").split("/")[-1]
            meant = {"kernels": kernel, "biases": weight.trainable and not kernel, "all": weight.trainable or kernel}
            if meant[parameters] and (weight.trainable or not trainable):
                found.setdefault(weight.layer, []).append(weight)
        return found

    def _layers_of(self, kind: Kind, layers: Sequence[str] | None, weighted: list[str]) -> list[str]:
        of_weights = kind in ("weights", "gradients")
        some = weighted
        if not of_weights:
            applies = [layer.name for layer in self.layers if kind == "activations" and layer.activation is not None]
            some = [layer.name for layer in self.layers if layer.name in {*weighted, *applies}]
        chosen = some if layers is None else [name if name in some else self._known(name) for name in layers]
        lacking = [name for name in chosen if of_weights and name not in some]
        if lacking or not chosen:
            where = f"of {', '.join(lacking)}" if lacking else "at all"
            raise Unsupported(
                f"there are no such {kind.replace('_', ' ')} {where} in run {self.name!r};"
                f" choose layers of {', '.join(some) or 'another run'}, or other `parameters`:"
                " kernels, biases or all"
            )
        return chosen


def _flat(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Arrays (frame, ...) as one (frame, value)."""
    rows = [array.reshape(len(array), -1) for array in arrays]
    return rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1)

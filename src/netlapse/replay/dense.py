"""Chains of dense layers in a run of any framework: which of its weights are whose kernel, and which way round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported
from .network import Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

    from ..store import Layer, Parameter, Run

# Torch and Equinox keep a weight as (unit, input), all others as (input, unit).
_TRANSPOSED = "weight"
_EXAMPLES = 32


@dataclass(frozen=True)
class Dense:
    """One dense layer: activation(x kernel + bias).

    `layer` has the weights; `output` is the layer whose output is its activation, another one where the activation
    function is a layer of its own.
    """

    layer: str
    output: str
    activation: str
    units: int
    kernel: str
    bias: str | None
    transposed: bool

    def kernels(self, run: Run, numbers: NDArray[np.intp]) -> Float[np.ndarray, "frame input unit"]:
        """The kernels of these frames."""
        values = run.weights(self.kernel, numbers)
        return values.swapaxes(1, 2) if self.transposed else values

    @property
    def taps(self) -> list[Tap]:
        """Where its pre-activations and its activations are."""
        return [Tap(self.layer, "pre_activation"), Tap(self.output)]


def dense_chain(
    run: Run, inputs: NDArray[Any], evaluate: Callable[[Sequence[Tap], NDArray[Any]], list[NDArray[Any]]]
) -> tuple[Dense, ...]:
    """The dense layers of a network that is nothing but these and their activation functions, one after another.

    `evaluate` gives values (frame, example, ...) at taps for some inputs, by the weights of the first frame. With them
    it is tried whether each layer is what its weights say: in this way no kernel is taken the wrong way round, and what
    stands between two layers (a normalisation, a sum) is not passed over. Raises Unsupported, naming the layer.
    """
    examples = inputs[:_EXAMPLES]
    layers = run.manifest.layers
    taps = [tap for layer in layers for tap in (Tap(layer.name, "pre_activation"), Tap(layer.name))]
    values = [array[0] for array in evaluate(taps, examples)]
    before = "the inputs"
    source = examples.reshape(len(examples), -1)
    found: list[Dense] = []
    for layer, z, a in zip(layers, values[::2], values[1::2], strict=True):
        own = [parameter for parameter in run.manifest.parameters if parameter.layer == layer.name]
        if own:
            dense = _dense(run, layer, own, source, z)
            if dense is None:
                raise Unsupported(_other(run, layer, before))
            found.append(dense)
        elif found and layer.activation is not None and _equal(z, source):
            found[-1] = _activated(found[-1], layer)
        elif not _equal(a.reshape(len(a), -1), source):
            raise Unsupported(_other(run, layer, before))
        source, before = a.reshape(len(a), -1), layer.name
    if not found:
        raise Unsupported(f"run {run.name!r} has no dense layer; this view shows networks of dense layers")
    return tuple(found)


def _dense(
    run: Run,
    layer: Layer,
    parameters: Sequence[Parameter],
    source: Float[np.ndarray, "example input"],
    z: NDArray[Any],
) -> Dense | None:
    kernels = [parameter for parameter in parameters if len(parameter.shape) == 2]
    biases = [parameter for parameter in parameters if len(parameter.shape) == 1]
    if z.ndim != 2 or len(kernels) != 1 or len(kernels) + len(biases) != len(parameters) or len(biases) > 1:
        return None
    [kernel], bias = kernels, biases[0] if biases else None
    first = np.zeros(1, np.intp)
    shift = run.weights(bias.name, first)[0] if bias else 0
    likely = kernel.name.replace("/", ".").endswith(_TRANSPOSED)
    for transposed in (likely, not likely):
        dense = Dense(
            layer.name,
            layer.name,
            layer.activation or "linear",
            z.shape[1],
            kernel.name,
            bias and bias.name,
            transposed,
        )
        values = dense.kernels(run, first)[0]
        if values.shape == (source.shape[1], z.shape[1]) and _equal(source @ values + shift, z):
            return dense
    return None


def _activated(dense: Dense, layer: Layer) -> Dense:
    return Dense(
        dense.layer, layer.name, str(layer.activation), dense.units, dense.kernel, dense.bias, dense.transposed
    )


def _equal(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    if found.shape != expected.shape:
        return False
    # Generous: half precision rounds, and what is no such layer is wrong by far more.
    return np.allclose(
        found, expected, rtol=0, atol=1e-2 * float(np.nanmax(np.abs(expected), initial=1e-6)), equal_nan=True
    )


def _other(run: Run, layer: Layer, before: str) -> str:
    return (
        f"layer {layer.name!r} ({layer.type}) of run {run.name!r} is not a dense layer of what {before} gives; this"
        " view shows networks that are a chain of dense layers"
    )

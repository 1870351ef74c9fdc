"""The user's `apply`, traced: its layers, and the values of each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import BadProbe, Unsupported
from ..replay.link import LINKS
from ..replay.network import Tap
from ..store import Layer
from .attention import find_attention
from .backend import SUMS_RIGHTLY, jax, over_leaves
from .function import flat_outputs
from .kept import Final
from .layers import find_layers
from .program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .layers import Found

# Which axis of a value is that of the examples, and how many places of an example lie on it.
ExampleAxis = tuple[int, int]
# Numbers of examples. As many units tell activation functions apart.
_TRACED = (4, 6)


class Live:
    """A function of weights and inputs, with taps.

    `weights` and `inputs` are shapes and dtypes, inputs those of one example. It is traced for two numbers
    of examples: their axis is the one that grows.
    """

    def __init__(self, function: Callable[[Any, Any], Any], weights: Mapping[str, Any], inputs: Any) -> None:
        self.function, self._inputs = function, inputs
        try:
            small, large = (Program.of(function, weights, batch_of(inputs, examples)) for examples in _TRACED)
            outputs = [jax.eval_shape(function, dict(weights), batch_of(inputs, examples)) for examples in _TRACED]
        except Exception as error:
            raise BadProbe(
                f"apply cannot be evaluated on the probe: {str(error).strip()[:500]}; pass inputs as apply takes them,"
                " and an apply(params, inputs) that runs in inference mode for any number of examples"
            ) from error
        found, self.layer_of = find_layers(small)
        steps = {layer.name: layer.steps for layer in found}
        again = {layer.name: layer for layer in find_layers(large, steps)[0]}
        self._axes: dict[Tap, ExampleAxis] = {}
        self._shapes: dict[Tap, tuple[int, ...]] = {}
        for layer in found:
            for tap, number in _values(layer).items():
                other = _values(again[layer.name])[tap] if layer.name in again else number
                self._note(tap, small.avals[number].shape, large.avals[other].shape)
        more = find_attention(large, again.values())
        for name, number in find_attention(small, found).items():
            if name in more and len(small.avals[number].shape) >= 3:
                self._note(Tap(name, "attention"), small.avals[number].shape, large.avals[more[name]].shape)
        found = [layer for layer in found if {*_values(layer)} <= self._axes.keys()]
        self._program, self._found = small, found
        self._steps = {layer.name: steps[layer.name] for layer in found}
        self.layers = tuple(
            Layer(
                layer.name, layer.type, (self._shapes[Tap(layer.name, "pre_activation")] or (None,))[-1], layer.function
            )
            for layer in found
        )
        leaves, self._tree = jax.tree_util.tree_flatten(outputs[0])
        self.output_specs = [jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for leaf in leaves]
        self.outputs = self._name_outputs(found, small, *map(flat_outputs, outputs))
        self.finals = {
            output: Final(layer.name, LINKS[layer.function])
            for output, number in zip(self.outputs, small.outputs, strict=True)
            for layer in found
            if layer.function in LINKS
            and layer.activation == small.viewed(number)
            # A view may part what a softmax made.
            and (layer.function == "sigmoid" or small.avals[layer.activation].shape == small.avals[number].shape)
        }

    def _note(self, tap: Tap, two: tuple[int, ...], three: tuple[int, ...]) -> None:
        for axis, (small, large) in enumerate(zip(two, three, strict=False)):
            if small != large and small * _TRACED[1] == large * _TRACED[0]:
                places = small // _TRACED[0]
                self._axes[tap] = axis, places
                self._shapes[tap] = (*([places] if places > 1 else []), *two[:axis], *two[axis + 1 :])
                return

    def _name_outputs(self, found: list[Found], program: Program, two: Any, three: Any) -> tuple[str, ...]:
        names: list[str] = []
        for (path, small), large, number in zip(two.items(), three.values(), program.outputs, strict=True):
            if (small.shape[:1], large.shape) != (_TRACED[:1], (_TRACED[1], *small.shape[1:])):
                raise BadProbe(
                    f"apply makes an output {path or ''} of shape {small.shape} of {_TRACED[0]} examples and"
                    f" {large.shape} of {_TRACED[1]}; it"
                    " must return one row for each example"
                )
            made_by = [layer.name for layer in found if layer.activation == number and layer.name not in names]
            name = made_by[0] if made_by else path or "output"
            while name in names or (not made_by and name in self._steps):
                name += "_"
            names.append(name)
            self._shapes[Tap(name)] = small.shape[1:]
        return tuple(names)

    @property
    def taps(self) -> dict[Tap, tuple[int, ...]]:
        """All taps, with the shape of one example."""
        return {tap: _with_head(tap, shape) for tap, shape in self._shapes.items()}

    def arrange(self, outputs: list[Any]) -> Any:
        """The outputs as `apply` makes them."""
        return jax.tree_util.tree_unflatten(self._tree, outputs)

    def over_frames(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as one of the stacked weights of several frames."""

        def vectorised(weights: Any, *arrays: Any) -> Any:
            return jax.vmap(function, in_axes=(0, *[None] * len(arrays)))(weights, *arrays)

        return jax.jit(vectorised, compiler_options=SUMS_RIGHTLY)

    def make_outputs(self, weights: Mapping[str, Any], inputs: Any) -> list[Any]:
        """The outputs, (example, ...)."""
        return jax.tree_util.tree_leaves(self.function(weights, inputs))

    def make_taps(self, weights: Mapping[str, Any], inputs: Any) -> dict[Tap, Any]:
        """The values at all taps, (example, ...)."""
        examples = jax.tree_util.tree_leaves(inputs)[0].shape[0]
        program, found = self._trace(weights, inputs)
        numbers = {tap: number for layer in found for tap, number in _values(layer).items()}
        attention = {Tap(name, "attention"): number for name, number in find_attention(program, found).items()}
        numbers |= {tap: number for tap, number in attention.items() if tap in self._axes}
        made = program.evaluate([*numbers.values()], program.given(weights, inputs))
        taps = {tap: self._rows(tap, value, examples) for tap, value in zip(numbers, made, strict=True)}
        return {**taps, **dict(zip(map(Tap, self.outputs), self.make_outputs(weights, inputs), strict=True))}

    def require_bottleneck(self, start: str) -> None:
        """Raise Unsupported unless every path through the network passes this layer."""
        layer = next((layer for layer in self._found if layer.name == start), None)
        if layer is None:
            raise Unsupported(f"layer {start!r} has no activations that the rest of the network could start from")
        if self._program.needed(self._program.outputs, [layer.activation]).intersection(self._program.inputs):
            raise Unsupported(
                f"connections go round layer {start!r}, so that its activations alone do not decide the output; choose"
                " a layer that everything passes through"
            )

    def head(self, start: str, weights: Mapping[str, Any], values: Any) -> dict[Tap, Any]:
        """The outputs, and what comes before a final sigmoid or softmax, from a layer's activations, (example, ...)."""
        examples = values.shape[0]
        inputs = over_leaves(lambda one: jax.numpy.zeros(one.shape, one.dtype), batch_of(self._inputs, examples))
        program, found = self._trace(weights, inputs)
        numbers = {layer.name: _values(layer) for layer in found}
        exchanged = numbers[start][Tap(start)]
        placed = self._placed(Tap(start), values, program.avals[exchanged])
        given = {**program.given(weights, inputs), exchanged: placed}
        taps = dict(zip(map(Tap, self.outputs), program.outputs, strict=True))
        finals = [final.tap for final in self.finals.values() if final.layer != start]
        taps |= {tap: numbers[tap.layer][tap] for tap in finals}
        made = dict(zip(taps, program.evaluate([*taps.values()], given), strict=True))
        return {tap: self._rows(tap, value, examples) if tap in finals else value for tap, value in made.items()}

    def pull_back(
        self, layers: Sequence[str], weights: Mapping[str, Any], inputs: Any, cotangents: list[Any]
    ) -> list[Any]:
        """What gradients by the outputs are by the pre-activations of layers, (example, ...)."""
        examples = jax.tree_util.tree_leaves(inputs)[0].shape[0]
        program, found = self._trace(weights, inputs)
        numbers = {layer.name: layer.pre_activation for layer in found}
        taps = [Tap(layer, "pre_activation") for layer in layers]

        def outputs(shifts: list[Any]) -> list[Any]:
            by_number: dict[int, Any] = {}
            for tap, shift in zip(taps, shifts, strict=True):
                number = numbers[tap.layer]
                by_number[number] = by_number.get(number, 0) + self._placed(tap, shift, program.avals[number])
            return program.evaluate(program.outputs, program.given(weights, inputs), by_number)

        # Nothing is added, but the outputs depend on it.
        nothing = [jax.numpy.zeros((examples, *self._shapes[tap])) for tap in taps]
        [gradients] = jax.vjp(outputs, nothing)[1](cotangents)
        return gradients

    def _trace(self, weights: Mapping[str, Any], inputs: Any) -> tuple[Program, list[Found]]:
        program = Program.of(self.function, weights, inputs)
        found = [layer for layer in find_layers(program, self._steps)[0] if layer.name in self._steps]
        return program, found

    def _rows(self, tap: Tap, value: Any, examples: Any) -> Any:
        axis, places = self._axes[tap]
        value = jax.numpy.moveaxis(value, axis, 0)
        if places > 1:
            value = value.reshape(examples, places, *value.shape[1:])
        return value.reshape(value.shape[0], *_with_head(tap, value.shape[1:]))

    def _placed(self, tap: Tap, rows: Any, like: Any) -> Any:
        """The value in the program that has these rows, (example, ...)."""
        axis, _ = self._axes[tap]
        rows = rows.reshape(like.shape[axis], *like.shape[:axis], *like.shape[axis + 1 :]).astype(like.dtype)
        return jax.numpy.moveaxis(rows, 0, axis)


def batch_of(inputs: Any, examples: int) -> Any:
    """Shapes of so many examples."""
    return over_leaves(lambda one: jax.ShapeDtypeStruct((examples, *one.shape), one.dtype), inputs)


def _values(layer: Found) -> dict[Tap, int]:
    return {Tap(layer.name, "pre_activation"): layer.pre_activation, Tap(layer.name): layer.activation}


def _with_head(tap: Tap, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one example's values: (head, query, key) of attention, whose heads have no axis, or several."""
    return (math.prod(shape[:-2]), *shape[-2:]) if tap.moment == "attention" else shape

"""The user's `apply`, traced: its layers, and the values of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import BadProbe, Unsupported
from ..replay.network import Tap
from ..store import Layer
from .backend import jax, over_leaves
from .function import flat_outputs
from .layers import find_layers
from .program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        self.sigmoid = next(
            (
                Tap(layer.name, "pre_activation")
                for layer in found
                if layer.function == "sigmoid" and [layer.activation] == [*map(small.viewed, small.outputs)]
            ),
            None,
        )

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
        return self._shapes

    def arrange(self, outputs: list[Any]) -> Any:
        """The outputs as `apply` makes them."""
        return jax.tree_util.tree_unflatten(self._tree, outputs)

    def over_frames(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as one of the stacked weights of several frames."""

        def vectorised(weights: Any, *arrays: Any) -> Any:
            return jax.vmap(function, in_axes=(0, *[None] * len(arrays)))(weights, *arrays)

        return jax.jit(vectorised)

    def make_outputs(self, weights: Mapping[str, Any], inputs: Any) -> list[Any]:
        """The outputs, (example, ...)."""
        return jax.tree_util.tree_leaves(self.function(weights, inputs))

    def make_taps(self, weights: Mapping[str, Any], inputs: Any) -> dict[Tap, Any]:
        """The values at all taps, (example, ...)."""
        examples = jax.tree_util.tree_leaves(inputs)[0].shape[0]
        program, found = self._trace(weights, inputs)
        numbers = {tap: number for layer in found for tap, number in _values(layer).items()}
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
        """The outputs, and what comes before a final sigmoid, from the activations of a layer, (example, ...)."""
        examples = values.shape[0]
        inputs = over_leaves(lambda one: jax.numpy.zeros(one.shape, one.dtype), batch_of(self._inputs, examples))
        program, found = self._trace(weights, inputs)
        numbers = {layer.name: _values(layer) for layer in found}
        exchanged, (axis, _) = numbers[start][Tap(start)], self._axes[Tap(start)]
        shape = program.avals[exchanged].shape
        rows = values.reshape(shape[axis], *shape[:axis], *shape[axis + 1 :]).astype(program.avals[exchanged].dtype)
        given = {**program.given(weights, inputs), exchanged: jax.numpy.moveaxis(rows, 0, axis)}
        taps = dict(zip(map(Tap, self.outputs), program.outputs, strict=True))
        if self.sigmoid is not None and self.sigmoid.layer != start:
            taps[self.sigmoid] = numbers[self.sigmoid.layer][self.sigmoid]
        made = dict(zip(taps, program.evaluate([*taps.values()], given), strict=True))
        return {tap: self._rows(tap, value, examples) if tap == self.sigmoid else value for tap, value in made.items()}

    def _trace(self, weights: Mapping[str, Any], inputs: Any) -> tuple[Program, list[Found]]:
        program = Program.of(self.function, weights, inputs)
        found = [layer for layer in find_layers(program, self._steps)[0] if layer.name in self._steps]
        return program, found

    def _rows(self, tap: Tap, value: Any, examples: Any) -> Any:
        axis, places = self._axes[tap]
        value = jax.numpy.moveaxis(value, axis, 0)
        return value if places == 1 else value.reshape(examples, places, *value.shape[1:])


def batch_of(inputs: Any, examples: int) -> Any:
    """Shapes of so many examples."""
    return over_leaves(lambda one: jax.ShapeDtypeStruct((examples, *one.shape), one.dtype), inputs)


def _values(layer: Found) -> dict[Tap, int]:
    return {Tap(layer.name, "pre_activation"): layer.pre_activation, Tap(layer.name): layer.activation}

"""Layers of a function that has no modules: groups of parameters, followed through its operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from .activations import activation_functions
from .program import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .program import Operation, Program

_ARITHMETIC = ("add", "add_any", "div", "mul", "sub")
_TYPES = {"dot_general": "Dense", "conv_general_dilated": "Conv", "gather": "Embedding"}
_MOST_STEPS = 30


@dataclass
class Application:
    """Operations in a row that mix a layer's parameters into data, each of them once."""

    layer: str
    parameters: set[str] = field(default_factory=set[str])
    operations: list[int] = field(default_factory=list[int])
    values: int = 0  # of these operations, as bits


@dataclass(frozen=True)
class Found:
    """A layer: the numbers of its values, and how many places its activation function is behind the first."""

    name: str
    type: str
    pre_activation: int
    activation: int
    function: str | None = None
    steps: int = 0


def layer_of(parameter: str) -> str:
    """The path without its last part; parameters beside one another at the top are layers of their own at first."""
    return parameter.rpartition("/")[0] or parameter


def find_layers(program: Program, steps: Mapping[str, int] | None = None) -> tuple[list[Found], dict[str, str]]:
    """The layers in the order in which they finish, and the layer of each parameter.

    `steps` are those of an earlier trace of the same function: nothing is evaluated then.
    """
    tracer = _Tracer(program)
    tracer.follow()
    ended = sorted(((tracer.end_of(a), a) for a in tracer.applications), key=lambda pair: program.made_by[pair[0]])
    narrows = {value: list(islice(_narrows(program, value), _MOST_STEPS)) for value, _ in ended}
    functions: dict[int, tuple[int, str]] = {}
    if steps is None:
        functions = activation_functions(program, narrows)
    found: list[Found] = []
    for value, application in ended:
        times = [other for _, other in ended if other.layer == application.layer]
        name = application.layer if len(times) == 1 else f"{application.layer}@{times.index(application) + 1}"
        words = [program.operations[place].name for place in application.operations]
        kind = next((_TYPES[word] for word in words if word in _TYPES), "Layer")
        if steps is None:
            activation, function = functions.get(value) or (value, None)
        else:
            step = steps.get(name, 0)
            activation, function = [value, *narrows[value]][step], None
        step = [value, *narrows[value]].index(activation)
        found.append(Found(name, kind, value, activation, function, step))
    return found, tracer.layers


class _Tracer:
    """Where each value comes from: of which parameters, of data or not, after which applications."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.layers = {name: layer_of(name) for name in program.weights}
        self.applications: list[Application] = []
        # Of values that are made of parameters alone, their names; the others are data.
        self._parameters = {number: {name} for name, number in program.weights.items()}
        self._data = set(program.inputs)
        self._after = dict.fromkeys(program.inputs, 0)
        self._origin: dict[int, int] = {}

    def follow(self) -> None:
        for place, operation in enumerate(self.program.operations):
            parameters = set[str]().union(*(self._parameters.get(number, ()) for number in operation.inputs))
            data = [number for number in operation.inputs if number in self._data]
            if not data:
                self._parameters |= dict.fromkeys(operation.outputs, parameters)
                continue
            after = _union(self._after[number] for number in data)
            # Loops have layers within, but no value of theirs.
            if parameters and len(operation.outputs) == 1:
                after |= 1 << place
                self._join(operation, parameters, data)
                for layer in {self.layers[name] for name in sorted(parameters)}:
                    own = {name for name in parameters if self.layers[name] == layer}
                    application = self._application(layer, own, after)
                    application.parameters |= own
                    application.operations.append(place)
                    application.values |= 1 << place
                self._origin[operation.outputs[0]] = place
            elif operation.name in VIEWS and data[0] in self._origin:
                self._origin[operation.outputs[0]] = self._origin[data[0]]
            self._data.update(operation.outputs)
            self._after |= dict.fromkeys(operation.outputs, after)

    def _join(self, operation: Operation, parameters: set[str], data: list[int]) -> None:
        """A bias without a parent, `x @ W1 + b1`, belongs to the layer of what it is added to."""
        [name, *others] = sorted(parameters)
        before = self._origin.get(data[0])
        if others or "/" in name or self.layers[name] != name or operation.name not in _ARITHMETIC or before is None:
            return
        for application in self.applications:
            if before in application.operations and all("/" not in other for other in application.parameters):
                self.layers[name] = application.layer

    def _application(self, layer: str, parameters: set[str], after: int) -> Application:
        """The one that these parameters belong to: one that leads here, or else the latest without them."""
        free = [a for a in self.applications if a.layer == layer and not a.parameters & parameters]
        leading = [application for application in free if application.values & after]
        if not free:
            self.applications.append(Application(layer))
            return self.applications[-1]
        return (leading or free)[-1]

    def end_of(self, application: Application) -> int:
        """The first value that all operations of the application lead to."""
        last = application.operations[-1]
        for operation in self.program.operations[last:]:
            for number in operation.outputs:
                if self._after.get(number, 0) & application.values == application.values:
                    return number
        return self.program.operations[last].outputs[0]


def _union(sets: Iterable[int]) -> int:
    union = 0
    for bits in sets:
        union |= bits
    return union


def _narrows(program: Program, start: int) -> Iterator[int]:
    """Values that all there is of the first one passes through, with nothing mixed in but constants."""
    derived = {start}
    for place in range(program.made_by[start] + 1, len(program.operations)):
        operation = program.operations[place]
        if not derived.intersection(operation.inputs):
            continue
        foreign = program.varying.intersection(operation.inputs) - derived
        if foreign or len(derived) > _MOST_STEPS or len(operation.outputs) != 1:
            return
        derived.update(operation.outputs)
        if all(number in operation.outputs or program.last_use.get(number, -1) <= place for number in derived):
            yield operation.outputs[0]
            derived = set(operation.outputs)

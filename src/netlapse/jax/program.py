"""A traced function as a flat list of operations, which can be evaluated in part."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from .backend import jax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# The same numbers in the same order, in another shape or precision, if they are as many.
VIEWS = (
    "broadcast_in_dim",
    "convert_element_type",
    "copy",
    "expand_dims",
    "reshape",
    "slice",
    "squeeze",
    "stop_gradient",
)
# What calls a function and nothing else; of the second kind functions that bring a derivative of their own.
_PLAIN_CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint")
_CUSTOM_CALLS = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")


@dataclass(frozen=True)
class Operation:
    """One equation of a jaxpr, on numbered values."""

    equation: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.equation.primitive.name


@dataclass
class Program:
    """Operations in their order. Values are numbers: `weights`, `inputs` and `outputs` say which are whose."""

    operations: list[Operation] = field(default_factory=list[Operation])
    # Calls of functions that bring derivatives, by the first of the operations that they stand for; and where these
    # end. Outer calls come last.
    custom_calls: dict[int, list[tuple[Operation, int]]] = field(default_factory=dict[int, list[tuple[Operation, int]]])
    constants: dict[int, Any] = field(default_factory=dict[int, Any])
    avals: list[Any] = field(default_factory=list[Any])
    weights: dict[str, int] = field(default_factory=dict[str, int])
    inputs: list[int] = field(default_factory=list[int])
    outputs: list[int] = field(default_factory=list[int])

    @classmethod
    def of(cls, function: Callable[[Any, Any], Any], weights: Mapping[str, Any], inputs: Any) -> Program:
        """Trace a function of weights by name and of inputs, at the shapes of these."""
        closed = jax.make_jaxpr(function)(dict(weights), inputs)
        program = cls()
        arguments = [program._value(variable.aval) for variable in closed.jaxpr.invars]
        # As a dict is flattened.
        program.weights = dict(zip(sorted(weights), arguments, strict=False))
        program.inputs = arguments[len(weights) :]
        program.outputs = program._inline(closed.jaxpr, closed.consts, arguments)
        return program

    def _inline(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[int]) -> list[int]:
        numbers = dict(zip(jaxpr.invars, arguments, strict=True))
        for variable, value in zip(jaxpr.constvars, constants, strict=True):
            numbers[variable] = self._constant(value, variable.aval)

        def read(atom: Any) -> int:
            return self._constant(atom.val, atom.aval) if hasattr(atom, "val") else numbers[atom]

        for equation in jaxpr.eqns:
            given = [read(atom) for atom in equation.invars]
            first, made = len(self.operations), list[int]()
            inner = _called(equation)
            if inner is not None:
                made = self._inline(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), given)
            if inner is not None and equation.primitive.name in _CUSTOM_CALLS:
                if {*made} <= self._made_since(first) and len({*made}) == len(made):
                    call = Operation(equation, tuple(given), tuple(made))
                    self.custom_calls.setdefault(first, []).append((call, len(self.operations)))
                else:
                    # It returns what it was given: the same value, with another derivative.
                    inner = None
                    del self.operations[first:]
                    self.custom_calls = {place: calls for place, calls in self.custom_calls.items() if place < first}
            if inner is None:
                made = [self._value(variable.aval) for variable in equation.outvars]
                self.operations.append(Operation(equation, tuple(given), tuple(made)))
            numbers.update(zip(equation.outvars, made, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _made_since(self, first: int) -> set[int]:
        return {number for operation in self.operations[first:] for number in operation.outputs}

    def _value(self, aval: Any) -> int:
        self.avals.append(aval)
        return len(self.avals) - 1

    def _constant(self, value: Any, aval: Any) -> int:
        number = self._value(aval)
        self.constants[number] = value
        return number

    @cached_property
    def made_by(self) -> dict[int, int]:
        """The place of the operation that makes a value."""
        return {number: place for place, operation in enumerate(self.operations) for number in operation.outputs}

    @cached_property
    def last_use(self) -> dict[int, int]:
        """The place of the last operation that takes a value; outputs are taken at the end."""
        uses = {number: place for place, operation in enumerate(self.operations) for number in operation.inputs}
        return uses | dict.fromkeys(self.outputs, len(self.operations))

    @cached_property
    def varying(self) -> set[int]:
        """The values that are no constants."""
        found = {*self.weights.values(), *self.inputs}
        for operation in self.operations:
            if found.intersection(operation.inputs):
                found.update(operation.outputs)
        return found

    def given(self, weights: Mapping[str, Any], inputs: Any) -> dict[int, Any]:
        """These weights and inputs by number."""
        by_name = {number: weights[name] for name, number in self.weights.items()}
        return by_name | dict(zip(self.inputs, jax.tree_util.tree_leaves(inputs), strict=True))

    def viewed(self, number: int) -> int:
        """The value that this one is a view of; itself if it is none."""
        while number in self.made_by:
            operation = self.operations[self.made_by[number]]
            if operation.name not in VIEWS or self.avals[operation.inputs[0]].size != self.avals[number].size:
                return number
            number = operation.inputs[0]
        return number

    def needed(
        self, wanted: Iterable[int], given: Iterable[int] = (), operations: Sequence[Operation] | None = None
    ) -> set[int]:
        """The values that these are made of, where the given ones need not be made."""
        given = set(given)
        found = set(wanted)
        for operation in reversed(self.operations if operations is None else operations):
            if any(number in found and number not in given for number in operation.outputs):
                found.update(operation.inputs)
        return found

    def _with_custom_calls(self, wanted: set[int], shifted: set[int]) -> list[Operation]:
        """The operations; a function that brings its derivative is one where none of these values lies within."""
        found: list[Operation] = []
        place = 0
        while place < len(self.operations):
            end, operation = place + 1, self.operations[place]
            for call, last in self.custom_calls.get(place, []):
                within = self.operations[place:last]
                hidden = {number for each in within for number in each.outputs}.difference(call.outputs)
                taken = {number for each in within for number in each.inputs}.intersection(call.outputs)
                if not hidden & (wanted | shifted) and not taken & shifted:
                    end, operation = last, call
            found.append(operation)
            place = end
        return found

    def evaluate(
        self, wanted: Sequence[int], given: Mapping[int, Any], shifts: Mapping[int, Any] | None = None
    ) -> list[Any]:
        """The wanted values, from the given ones and the constants; with `shifts`, which are added to values.

        The derivatives by these are those of the function that was traced.
        """
        values = {**self.constants, **given}
        operations = self.operations if shifts is None else self._with_custom_calls({*wanted}, {*shifts})
        shifts = shifts or {}
        values |= {number: values[number] + shifts[number] for number in shifts.keys() & values.keys()}
        needed = self.needed(wanted, given, operations)
        for operation in operations:
            if needed.intersection(operation.outputs) and not all(number in given for number in operation.outputs):
                primitive = operation.equation.primitive
                bound = primitive.get_bind_params(operation.equation.params)
                # Older JAX has functions apart.
                functions, params = cast("tuple[Any, Any]", bound) if isinstance(bound, tuple) else ((), bound)
                made = primitive.bind(*functions, *(values[number] for number in operation.inputs), **params)
                found = made if primitive.multiple_results else [made]
                new = {n: v for n, v in zip(operation.outputs, found, strict=True) if n not in given}
                values |= new
                values |= {number: values[number] + shifts[number] for number in shifts.keys() & new.keys()}
        return [values[number] for number in wanted]


def _called(equation: Any) -> Any:
    if equation.primitive.name not in (*_PLAIN_CALLS, *_CUSTOM_CALLS):
        return None
    params = equation.params
    inner = next((params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params), None)
    invars = getattr(getattr(inner, "jaxpr", inner), "invars", None)
    return inner if invars is not None and len(invars) == len(equation.invars) else None

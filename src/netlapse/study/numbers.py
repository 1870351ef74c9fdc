"""The numbers of a model that a program takes, instead of having them compiled into it."""

from __future__ import annotations

import math
import operator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

# Of Keras' own classes, which only compute with these, or compare them with 0 and 1.
_OF_OPTIMIZERS = ("momentum", "beta_1", "beta_2", "epsilon", "rho", "weight_decay", "clipnorm", "global_clipnorm")
_OF_LAYERS = ("rate",)
_OF_REGULARIZERS = ("l1", "l2")

RATE = "learning_rate"


class Numbers:
    """Where a compiled model keeps its numbers, by name: "momentum", "layer 2 rate", "layer 0 kernel_regularizer l2".

    The learning rate is not among these: it is a variable of the optimiser.
    """

    def __init__(self, model: Any) -> None:
        self._places = {name: place for name, place in _places(model) if _is_number(place)}

    @property
    def values(self) -> dict[str, float]:
        """The numbers of the model."""
        return {name: getattr(holder, attribute) for name, (holder, attribute) in self._places.items()}

    @contextmanager
    def given(self, values: Mapping[str, Any]) -> Generator[None]:
        """The model computes with these meanwhile: with arrays that are traced, or with numbers."""
        before = self.values
        try:
            for name, value in values.items():
                self._set(name, value if isinstance(value, float) else _Traced(value, before[name]))
            yield
        finally:
            for name in values:
                self._set(name, before[name])

    def _set(self, name: str, value: Any) -> None:
        holder, attribute = self._places[name]
        setattr(holder, attribute, value)


def side(value: float) -> str:
    """What code may ask of a number, and so must be the same for all that one program is given."""
    return "below 0" if value < 0 else "0" if value == 0 else "below 1" if value < 1 else "1" if value == 1 else "above"


class _Traced:
    """A number of many networks at once: it is computed with, and compared as the one of them that is known."""

    def __init__(self, array: Any, known: float) -> None:
        self._array, self._known = array, known

    def __jax_array__(self) -> Any:
        return self._array

    def __bool__(self) -> bool:
        return bool(self._known)

    def _compared(self, other: Any, with_known: Callable[[Any, Any], bool]) -> bool:
        if other not in (0, 1):
            raise TypeError(f"a number of several networks is compared with {other}: it may be more or less")
        return with_known(self._known, other)

    def __eq__(self, other: object) -> bool:
        return self._compared(other, operator.eq)

    def __lt__(self, other: Any) -> bool:
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> bool:
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> bool:
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> bool:
        return self._compared(other, operator.ge)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __neg__(self) -> Any:
        return -self._array

    def __add__(self, other: Any) -> Any:
        return self._array + other

    def __radd__(self, other: Any) -> Any:
        return other + self._array

    def __sub__(self, other: Any) -> Any:
        return self._array - other

    def __rsub__(self, other: Any) -> Any:
        return other - self._array

    def __mul__(self, other: Any) -> Any:
        return self._array * other

    def __rmul__(self, other: Any) -> Any:
        return other * self._array

    def __truediv__(self, other: Any) -> Any:
        return self._array / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self._array

    def __pow__(self, other: Any) -> Any:
        return self._array**other

    def __rpow__(self, other: Any) -> Any:
        return other**self._array


def _places(model: Any) -> Iterable[tuple[str, tuple[Any, str]]]:
    """All places that may hold a number, by name."""
    optimizer, prefix = model.optimizer, ""
    while optimizer is not None:
        yield from ((prefix + attribute, (optimizer, attribute)) for attribute in _OF_OPTIMIZERS)
        optimizer, prefix = getattr(optimizer, "inner_optimizer", None), prefix + "inner "
    for place, layer in enumerate(model._flatten_layers(include_self=False, recursive=True)):
        yield from ((f"layer {place} {attribute}", (layer, attribute)) for attribute in _OF_LAYERS)
        for name, regularizer in cast("dict[str, Any]", vars(layer)).items():
            if name.endswith("_regularizer"):
                for attribute in _OF_REGULARIZERS:
                    yield f"layer {place} {name} {attribute}", (regularizer, attribute)


def _is_number(place: tuple[Any, str]) -> bool:
    holder, attribute = place
    value = getattr(holder, attribute, None)
    return type(holder).__module__.startswith("keras.") and isinstance(value, float) and math.isfinite(value)

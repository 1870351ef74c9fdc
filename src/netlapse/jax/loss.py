"""The user's loss, as one number for each example or for each of its places."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import BadProbe, Unsupported
from .backend import jax, over_leaves
from .function import as_given
from .live import batch_of

if TYPE_CHECKING:
    from collections.abc import Callable

_HOW = (
    "such as optax.sigmoid_binary_cross_entropy or optax.softmax_cross_entropy_with_integer_labels, or jax.vmap of the"
    " loss of one example"
)


class Losses:
    """`loss(outputs, targets)`, checked at the shapes of one example of each.

    Raises Unsupported for a loss of a whole batch, BadProbe for targets that do not fit.
    """

    def __init__(self, loss: Callable[[Any, Any], Any], outputs: Any, targets: Any) -> None:
        self._loss = loss
        self._spec = outputs, targets
        self.name = str(getattr(loss, "__name__", type(loss).__name__))
        # Targets (example,) of outputs (example, 1) are meant as a column, unless the loss takes them as they are.
        self._as_column = False
        for self._as_column in (False, True):
            found = self._shapes()
            if isinstance(found, list):
                break
        else:
            raise BadProbe(
                f"loss {self.name!r} cannot be evaluated on the outputs and the probe's targets: {found}; give targets"
                " the shape that the loss takes"
            )
        if found == [(), ()]:
            raise Unsupported(
                f"loss {self.name!r} is one number for a whole batch; pass one that returns a number for each example,"
                f" {_HOW}"
            )
        two, three = found
        if two[:1] != (2,) or three != (3, *two[1:]):
            raise BadProbe(
                f"loss {self.name!r} makes shape {two} of 2 examples and {three} of 3; pass one that returns a number"
                f" for each example, {_HOW}, and targets with the shape of the outputs"
            )

    def _shapes(self) -> list[tuple[int, ...]] | str:
        try:
            # A function of its own each time: JAX remembers what it has traced.
            shapes = [
                tuple(jax.eval_shape(partial(self), *(batch_of(part, examples) for part in self._spec)).shape)
                for examples in (2, 3)
            ]
        except Exception as error:
            return str(error).strip()[:300]
        # Several axes that grow: columns broadcast against rows.
        return shapes if len(shapes[0]) < 2 or shapes[0][1:] == shapes[1][1:] else f"it makes shape {shapes[0]} of 2"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """(example,), or (example, place ...)."""
        if self._as_column:
            targets = over_leaves(lambda array: array[..., None], targets)
        return self._loss(outputs, as_given(targets))

"""Initial weights of many networks at once, drawn by the layers' own initialisers."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from ..jax.backend import jax, over_leaves
from ..keras.backend import keras
from ..keras.random import random_state, set_random_state

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    # Of some networks, variable by variable: each (network, ...).
    Stacked = list[Any]


# To be drawn from, initialisers or Keras' global seed are changed for a moment: by one thread at a time.
_DRAWING = Lock()


class Initial:
    """Draws the initial state of a model's networks from their seeds.

    The variable at place k of a network with seed s is drawn with the key (s, k), by the initialiser that the layer
    was given: so two models whose variables have the same shapes and initialisers begin with the same weights, and
    those of other initialisers with the same underlying numbers. Initialisers with a seed of their own draw the same
    for all networks. Layers whose initialisers cannot be found make the model be built anew for each seed, with Keras'
    global seed set to it; that is right too, and slow.
    """

    def __init__(self, model: Any, build: Callable[[], Any]) -> None:
        self._build, self._model = build, model
        known = _initializers(model)
        self._pairs = [(variable, known.get(id(variable))) for variable in model.trainable_variables]
        self.at_once = all(initializer is not None for _, initializer in self._pairs)
        self._draw = jax.jit(jax.vmap(self._one))

    def __call__(self, seeds: Sequence[int]) -> tuple[Stacked, Stacked]:
        """Trainable and other variables of the networks with these seeds."""
        with _DRAWING:
            return self._drawn(seeds)

    def _drawn(self, seeds: Sequence[int]) -> tuple[Stacked, Stacked]:
        if self.at_once:
            # Some are drawn for nothing, so that it is compiled for few numbers of them.
            many = [*seeds, *[seeds[-1]] * ((1 << (len(seeds) - 1).bit_length()) - len(seeds))]
            drawn = self._draw(jax.numpy.asarray(many, jax.numpy.uint32))
            return over_leaves(lambda values: values[: len(seeds)], drawn)
        before = random_state()
        try:
            models = [self._built(seed) for seed in seeds]
        finally:
            set_random_state(before)
        trainable = [[variable.value for variable in model.trainable_variables] for model in models]
        others = self._draw_others(jax.numpy.asarray(seeds, jax.numpy.uint32))
        return [jax.numpy.stack(column) for column in zip(*trainable, strict=True)], others

    def _built(self, seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        return self._build()

    def _one(self, seed: Any) -> tuple[list[Any], list[Any]]:
        drawn: list[Any] = []
        for place, (variable, initializer) in enumerate(self._pairs):
            with _seeded(initializer, _key(seed, place)):
                drawn.append(jax.numpy.asarray(cast("Any", initializer)(variable.shape, variable.dtype)))
        return drawn, self._others(seed)

    def _others(self, seed: Any) -> list[Any]:
        """Statistics as they are built, and of generators the seeds, which dropout draws from."""
        count = len(self._pairs)
        return [
            _key(seed, count + place) if variable.name == "seed_generator_state" else variable.value
            for place, variable in enumerate(self._model.non_trainable_variables)
        ]

    def _draw_others(self, seeds: Any) -> list[Any]:
        return jax.vmap(self._others)(seeds)


def _key(seed: Any, place: int) -> Any:
    return jax.random.key_data(jax.random.fold_in(jax.random.key(seed), place))


@contextmanager
def _seeded(initializer: Any, key: Any) -> Generator[None]:
    """The initialiser draws with this key, unless it was given a seed of its own."""
    if getattr(initializer, "_init_seed", 0) is not None:  # those that draw nothing have none
        yield
        return
    before, initializer.seed = initializer.seed, key
    try:
        yield
    finally:
        initializer.seed = before


def _initializers(model: Any) -> dict[int, Any]:
    """The initialisers of a model's variables, by the variables' ids: that of `kernel` is kernel_initializer."""
    found: dict[int, Any] = {}
    for layer in model._flatten_layers(include_self=False, recursive=True):
        for variable in layer._trainable_variables:
            initializer = getattr(layer, f"{variable.name}_initializer", None)
            if callable(initializer):
                found[id(variable)] = initializer
    return found

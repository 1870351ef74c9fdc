"""Trains many small networks at once, with the networks as the last axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..jax.backend import SUMS_RIGHTLY, jax, over_leaves
from .last_axis import apart, last_axis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

# For `jax.jit` or `compile`. By itself XLA uses vectors of half the width that newer processors have.
COMPILER_OPTIONS = {"xla_cpu_prefer_vector_width": 512} | (SUMS_RIGHTLY or {})

# So many examples leave 21 of 32 bits to chance.
_PACKED = 2048
# Examples that are measured at a time: what is computed of them fits a processor's cache.
_BLOCK = 64


class Measure(NamedTuple):
    """What is to be known of a network over all examples.

    `add` makes of what is found, of the network's state and of some more examples what is found then. At first that is
    `begin`.
    """

    begin: Any
    add: Callable[[Any, Any, Any], Any]


class Epochs(NamedTuple):
    """What networks were in each epoch: arrays with the axes epoch, ..., network."""

    # By name, as Keras reports them of the batches of each epoch: from epoch 1 on.
    metrics: Any
    # Trainable and other variables, if they are asked for, from epoch 0 on.
    weights: Any
    # What the measure found, if there is one, from epoch 0 on.
    measured: Any


def orders(seeds: Sequence[int], epochs: int, examples: int) -> NDArray[np.unsignedinteger[Any]]:
    """The order of the examples in each epoch, for each seed. Shape (order, epoch, example).

    Each order is made of its own seed alone, so that it does not matter which are asked for together. Random bits are
    sorted, with the examples' numbers in the bits below. Of two examples that drew the same bits, as one pair in two
    million does, the first stays before the second.
    """
    word = np.uint32 if examples <= _PACKED else np.uint64
    numbers = np.arange(examples, dtype=word)
    low = word((1 << (max(_PACKED, examples) - 1).bit_length()) - 1)
    found = np.empty((len(seeds), epochs, examples), np.uint16 if examples <= 1 << 16 else np.uint32)
    for order, seed in zip(found, seeds, strict=True):
        # Raw, as NumPy promises to draw these in all of its versions.
        drawn = np.random.Philox(key=seed).random_raw(-(-order.size * numbers.itemsize // 8))
        keys = drawn.view(word)[: order.size].reshape(order.shape)
        keys &= ~low
        keys |= numbers
        keys.sort(axis=1)
        order[...] = keys & low
    return found


def train_last(
    step: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    order: Any,
    data: Any,
    *,
    batch_size: int,
    group: int = 16,
    measure: Measure | None = None,
    every_epoch: bool = True,
) -> tuple[Any, Epochs]:
    """Train networks that differ in their state and in the order of the examples; the last state and each epoch.

    To be compiled, with the `COMPILER_OPTIONS`. `step` is a compiled Keras model's `train_step`: of one network's state
    (trainable, other, optimizer and metrics variables, and what stays as it is, if anything) and a batch, such as
    (inputs, targets), it makes the metrics and the next state. All arrays of the given state have the networks as their
    last axis. `order` has the axes order, epoch, example; each is that of `group` neighbouring networks. Metrics begin
    anew in each epoch, as they are given.
    """
    networks = jax.tree.leaves(state)[0].shape[-1]
    count, _, examples = order.shape
    if count != -(-networks // group):
        raise ValueError(
            f"{networks} networks in groups of {group} need {-(-networks // group)} orders of the examples, not {count}"
        )
    data = over_leaves(jax.numpy.asarray, data)
    there = jax.tree.leaves(data)[0].shape[0]
    if examples != there:
        raise ValueError(f"the orders are of {examples} examples, but there are {there}")
    # Nobody knows before it runs that the first example is among the examples.
    one = jax.numpy.where(order[0, 0, 0] < examples, np.float32(1), np.float32(2))
    step_all = last_axis(step, (True, True), one=one)
    full = (examples - 1) // batch_size
    first_metrics, rest = state[3], state[4:]

    def train(state: Any, places: Any) -> tuple[Any, Any]:
        batch = over_leaves(lambda array: jax.numpy.moveaxis(_rows(array, places), 0, -1), data)
        return step_all(state, _spread(batch, group, networks))

    def train_on(state: Any, places: Any) -> tuple[Any, None]:
        return train(state, places)[1], None

    def seen(state: Any) -> tuple[Any, Any]:
        measured = None if measure is None else measure_all(measure, state, data, networks)
        return state[:2] if every_epoch else None, measured

    def train_epoch(state: Any, order: Any) -> tuple[Any, Any]:
        batches = order[:, : full * batch_size].reshape(count, full, batch_size).swapaxes(0, 1)
        state, _ = jax.lax.scan(train_on, (*state[:3], first_metrics, *rest), batches)
        # Apart: it may have fewer examples, and only the metrics after it are kept.
        metrics, state = train(state, order[:, full * batch_size :])
        return state, (metrics, seen(state))

    before = seen(state)
    state, (metrics, after) = jax.lax.scan(train_epoch, state, order.swapaxes(0, 1).astype(np.uint32))
    weights, measured = jax.tree.map(_begun_with, before, after)
    return state, Epochs(metrics, weights, measured)


def _begun_with(first: Any, rest: Any) -> Any:
    return jax.numpy.concatenate([first[None], rest])


def _rows(array: Any, places: Any) -> Any:
    return array.at[places].get(mode="promise_in_bounds")


def measure_all(measure: Measure, state: Any, data: Any, networks: int) -> Any:
    """What is known over all examples of networks, which are the last axis of their state."""
    add_all = last_axis(measure.add, (True, True, False))
    full = jax.tree.leaves(data)[0].shape[0] // _BLOCK
    blocks = over_leaves(lambda array: array[: full * _BLOCK].reshape(full, _BLOCK, *array.shape[1:]), data)
    rest = over_leaves(lambda array: array[full * _BLOCK :], data)

    def add(found: Any, block: Any) -> tuple[Any, None]:
        return add_all(found, state, block), None

    begin = over_leaves(
        lambda value: jax.numpy.repeat(jax.numpy.asarray(value)[..., None], networks, -1), measure.begin
    )
    found, _ = jax.lax.scan(add, begin, blocks)
    return add(found, rest)[0] if jax.tree.leaves(rest)[0].shape[0] else found


def _spread(batch: Any, group: int, networks: int) -> Any:
    """Examples of groups, on the last axis, as those of every network."""

    def repeated(batch: Any) -> Any:
        return over_leaves(lambda array: jax.numpy.repeat(array, group, axis=-1)[..., :networks], batch)

    # XLA would repeat them within whatever takes them first, and compute that number by number.
    return apart(repeated)(batch)

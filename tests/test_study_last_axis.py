"""Networks as the last axis compute what `jax.vmap` makes of one network, whatever it consists of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlapse.datasets import parabolas

jax = pytest.importorskip("jax")
jnp, lax = jax.numpy, jax.lax

from netlapse.study.last_axis import apart, last_axis  # noqa: E402
from netlapse.study.train_last import COMPILER_OPTIONS, Measure, orders, train_last  # noqa: E402

NETWORKS = 5
RNG = np.random.default_rng(0)


def compiled(function, *arguments):
    return jax.jit(function, compiler_options=COMPILER_OPTIONS)(*arguments)


def assert_as_vmap(function, arguments, mapped=None, rtol=2e-5, one=None):
    """Arguments that are mapped have the networks as their last axis."""
    mapped = mapped or [True] * len(arguments)
    axes = [-1 if flag else None for flag in mapped]
    expected = compiled(jax.vmap(function, in_axes=axes, out_axes=-1), *arguments)
    found = compiled(last_axis(function, mapped, one=one), *arguments)
    assert_close(found, expected, rtol)
    return found


def assert_close(found, expected, rtol=2e-5, atol=None):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol if atol is None else atol)


# Functions of a matrix of one network, a matrix that is common to all, and a number of one network.
STEPS = {
    "add a common matrix": lambda x, y, s: x + y[: x.shape[0], : x.shape[1]],
    "add a row": lambda x, y, s: x - x[0],
    "scale": lambda x, y, s: x * s,
    "divide": lambda x, y, s: x / (1 + jnp.abs(s)),
    "power": lambda x, y, s: (jnp.abs(x) + 0.5) ** s,
    "tanh": lambda x, y, s: jnp.tanh(x),
    "relu": lambda x, y, s: jax.nn.relu(x),
    "elu": lambda x, y, s: jax.nn.elu(x),
    "gelu": lambda x, y, s: jax.nn.gelu(x),
    "softplus": lambda x, y, s: jax.nn.softplus(x),
    "clip": lambda x, y, s: jnp.clip(x, -s, 1.0),
    "softmax": lambda x, y, s: jax.nn.softmax(x, axis=0),
    "logsumexp": lambda x, y, s: x - jax.nn.logsumexp(x, axis=1, keepdims=True),
    "where": lambda x, y, s: jnp.where(x > s, x, y[: x.shape[0], : x.shape[1]]),
    "branch": lambda x, y, s: jnp.where(s > 0, x, -x),
    "sum": lambda x, y, s: x.sum(axis=0, keepdims=True) + x,
    "mean and variance": lambda x, y, s: (x - x.mean()) / (x.var() + 1),
    "max": lambda x, y, s: x - x.max(axis=1)[:, None],
    "min": lambda x, y, s: x + x.min(),
    "product": lambda x, y, s: x + jnp.tanh(x).prod(axis=0),
    "any": lambda x, y, s: x + (x > 0).any(axis=0) - (x > 1).all(),
    "argmax": lambda x, y, s: x + x.argmax(axis=0),
    "transpose": lambda x, y, s: x.T,
    "reshape": lambda x, y, s: x.reshape(-1, x.shape[0]),
    "flatten": lambda x, y, s: x.ravel()[None],
    "concatenate": lambda x, y, s: jnp.concatenate([x, y[:1, :1] + jnp.zeros((1, x.shape[1]))])[: x.shape[0]],
    "stack": lambda x, y, s: jnp.stack([x, 2 * x], axis=1).reshape(x.shape[0], -1)[:, : x.shape[1]],
    "slice": lambda x, y, s: x[::-1, ::2],
    "update": lambda x, y, s: x.at[0].add(s).at[:, -1].set(1.0),
    "roll": lambda x, y, s: jnp.roll(x, 1, axis=0),
    "pad": lambda x, y, s: jnp.pad(x, ((1, 0), (0, 1)), constant_values=1)[: x.shape[0], : x.shape[1]],
    "pad with a number": lambda x, y, s: lax.pad(x, s, ((1, 0, 0), (0, 0, 0)))[: x.shape[0]],
    "cumsum": lambda x, y, s: jnp.cumsum(x, axis=1) / 4,
    "sort": lambda x, y, s: jnp.sort(x, axis=0),
    "gather common": lambda x, y, s: x[jnp.array([0, -1, 0])],
    "gather own": lambda x, y, s: jnp.take_along_axis(x, jnp.argsort(x, axis=0), axis=0),
    "gather from common": lambda x, y, s: x + y[0, (jnp.abs(x).astype(jnp.int32) % 3)],
    "dynamic slice": lambda x, y, s: lax.dynamic_slice_in_dim(x, s.astype(jnp.int32), x.shape[0], axis=0),
    "one hot": lambda x, y, s: x + jax.nn.one_hot(x.argmax(axis=1), x.shape[1]),
    "gram": lambda x, y, s: x @ x.T / 4,
    "dot with common": lambda x, y, s: x[:, :1] @ y[:1, :3],
    "common dot": lambda x, y, s: y[:3, : x.shape[0]] @ x / 4,
    "batched dot": lambda x, y, s: jnp.einsum("bij,bkj->ik", *2 * [jnp.stack([x, x * s])]) / 16,
    "scan": lambda x, y, s: lax.scan(lambda c, row: (jnp.tanh(c + row), c * s), x[0], x)[1],
    "while": lambda x, y, s: lax.while_loop(lambda v: jnp.abs(v).max() > 1, lambda v: v / 2, x),
    "cond": lambda x, y, s: lax.cond(s > 0, jnp.sin, jnp.cos, x),
    "checkpoint": lambda x, y, s: jax.checkpoint(lambda v: jnp.sin(v) * s)(x),
    "gradient": lambda x, y, s: jax.grad(lambda v: (jax.nn.softplus(v) * s).sum())(x),
}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 2**31),
)
def test_random_programs(names, shape, seed):
    rng = np.random.default_rng(seed)
    x, y, s = (rng.normal(size=size).astype(np.float32) for size in ((*shape, NETWORKS), (99, 99), (NETWORKS,)))

    def program(x, y, s):
        for name in names:
            # Values keep apart, so that rounding changes no order, and small.
            x = jnp.clip(STEPS[name](x, y, s), -9, 9)[:9, :9]
        return x, x.sum()

    assert_as_vmap(program, (x, y, s), (True, False, True), rtol=3e-4)


@pytest.mark.parametrize("name", STEPS)
def test_each_step(name):
    x, y, s = (RNG.normal(size=size).astype(np.float32) for size in ((3, 4, NETWORKS), (99, 99), (NETWORKS,)))
    assert_as_vmap(STEPS[name], (x, y, s), (True, False, True))
    assert_as_vmap(STEPS[name], (x, y, s[0]), (True, False, False))


@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 200, 4161])
def test_long_sums_are_folded(length):
    values = (RNG.normal(size=(2, length, 3, NETWORKS)) / length).astype(np.float32)
    folded = [jnp.sum, jnp.max, jnp.min, lambda x, axis: (x > 0).any(axis), lambda x, axis: (x > 1).sum(axis)]
    assert_as_vmap(lambda x: [fold(x, axis=(0, 1)) for fold in folded], (values,))


def test_a_sum_of_nothing_is_0():
    empty = np.zeros((0, 2, NETWORKS), np.float32)
    assert_as_vmap(lambda x: (x.sum(axis=0), x.T @ x), (empty,))


@pytest.mark.parametrize(("terms", "unrolled"), [(64, True), (65, False)])
@pytest.mark.parametrize("one", [None, np.float32(1)])
def test_dots_of_few_terms_are_written_out(terms, unrolled, one):
    a, b = (RNG.normal(size=(*size, NETWORKS)).astype(np.float32) for size in ((2, terms, 3), (terms, 4)))
    program = str(jax.make_jaxpr(last_axis(lambda a, b: jnp.einsum("ikj,kl->lji", a, b), (True, True)))(a, b))
    assert ("dot_general" in program) is not unrolled
    assert_as_vmap(lambda a, b: jnp.einsum("ikj,kl->lji", a, b), (a, b), one=one)


NHWC, NCHW = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")


@pytest.mark.parametrize(
    ("strides", "padding", "of_input", "of_kernel", "axes"),
    [
        ((1, 1), [(1, 1), (0, 2)], (1, 1), (1, 1), NHWC),
        ((2, 1), [(0, 0), (0, 0)], (1, 1), (1, 1), NCHW),
        ((2, 1), [(2, 1), (1, -1)], (1, 1), (1, 2), NHWC),
        ((1, 2), [(2, 1), (1, -1)], (2, 1), (1, 1), NCHW),
    ],
)
def test_convolutions_and_their_derivatives(strides, padding, of_input, of_kernel, axes):
    def with_derivatives(x, kernel):
        def convolve(x, kernel):
            return lax.conv_general_dilated(x, kernel, strides, padding, of_input, of_kernel, axes)

        y, back = jax.vjp(convolve, x, kernel)
        return y, back(jnp.cos(y))

    shapes = [(3, 6, 7, 2), (3, 2, 2, 4)] if axes is NHWC else [(3, 2, 6, 7), (4, 2, 3, 2)]
    given = [RNG.normal(size=(*shape, NETWORKS)).astype(np.float32) for shape in shapes]
    assert "conv_general_dilated" not in str(jax.make_jaxpr(last_axis(with_derivatives, (True, True)))(*given))
    found = last_axis(with_derivatives, (True, True))(*given)
    assert_close(found, jax.vmap(with_derivatives, -1, -1)(*given), rtol=5e-5)


def test_convolutions_by_groups():
    x, kernel = (RNG.normal(size=(*shape, NETWORKS)).astype(np.float32) for shape in ((2, 5, 4), (2, 2, 4)))
    assert_as_vmap(
        lambda x, kernel: lax.conv_general_dilated(
            x, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=2
        ),
        [x, kernel],
    )


def test_dots_in_other_precisions():
    a, b = RNG.normal(size=(3, 4, NETWORKS)), RNG.normal(size=(4, 2, NETWORKS))
    integers = [(9 * value).astype(np.int8) for value in (a, b)]
    assert_as_vmap(lambda a, b: lax.dot(a, b, preferred_element_type=jnp.int32), integers, rtol=0, one=np.float32(1))
    halves = [jnp.asarray(value, jnp.bfloat16) for value in (a, b)]
    assert_as_vmap(lambda a, b: lax.dot(a, b, preferred_element_type=jnp.float32), halves, one=np.float32(1))


def test_random_numbers_are_those_of_each_network():
    keys = jax.random.split(jax.random.key(0), NETWORKS)
    assert_as_vmap(lambda key: (jax.random.normal(key, (3, 2)), jax.random.bernoulli(key, 0.3, (4,))), (keys,), rtol=0)


def test_what_is_common_is_returned_for_every_network():
    found = assert_as_vmap(
        lambda x, y: {"own": x, "common": y, "constant": jnp.float32(3)}, (np.ones(5), np.ones(2)), (True, False)
    )
    assert found["common"].shape == (2, 5)
    assert found["constant"].shape == (5,)


def test_a_part_of_an_argument_may_be_common():
    arguments = ({"own": np.ones((2, 5)), "common": np.ones(2)}, [np.ones(5), np.ones((1, 5))])
    function = last_axis(lambda a, b: a["own"] * a["common"] + b[0] + b[1], ({"own": True, "common": False}, True))
    np.testing.assert_array_equal(function(*arguments), np.full((2, 5), 3))


def test_networks_must_be_as_many_everywhere():
    with pytest.raises(ValueError, match=r"agree in their last axis; its sizes are \[2, 3\]"):
        last_axis(jnp.add, (True, True))(np.ones(2), np.ones(3))


def test_what_is_apart_is_the_same():
    np.testing.assert_array_equal(compiled(apart(lambda x: (x, x + 1)), np.arange(3.0)), [[0, 1, 2], [1, 2, 3]])


# Trainings


@pytest.fixture(scope="module")
def article(keras):
    def make(activation="tanh", optimizer=None, **settings):
        return networks_of(
            keras,
            [
                keras.layers.Dense(2, activation, **settings),
                keras.layers.Dense(1, "sigmoid"),
            ],
            optimizer or keras.optimizers.SGD(0.5),
        )

    return make


def networks_of(keras, layers, optimizer, loss="binary_crossentropy", shape=(2,), metrics=("accuracy",)):
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def prepared(model, data, networks, rates=None):
    """The state of networks that differ in their weights, seeds and, if given, their learning rates."""
    model.optimizer.build(model.trainable_variables)
    model._symbolic_build(data_batch=tuple(array[:1] for array in data))
    rng = np.random.default_rng(1)
    kinds = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables, model.metrics_variables
    state = tuple(
        [np.repeat(np.asarray(variable.value)[..., None], networks, -1) for variable in variables]
        for variables in kinds
    )
    state = ([rng.normal(0, 0.5, array.shape).astype(np.float32) for array in state[0]], *state[1:])
    for variable, array in zip(model.non_trainable_variables, state[1], strict=True):
        if "seed" in variable.path:
            array += np.arange(networks, dtype=array.dtype)
    if rates is not None:
        state[2][1][:] = rates
    return jax.tree.map(jnp.asarray, state)


def train_each(model, state, order, data, batch_size, group):
    """The same with `jax.vmap`, as plainly as possible."""
    step = jax.jit(jax.vmap(model.train_step, in_axes=(-1, 0), out_axes=-1), compiler_options=COMPILER_OPTIONS)
    kept, logged, metrics = [state[:2]], [], state[3]
    order = np.repeat(order, group, axis=0)[: jax.tree.leaves(state)[0].shape[-1]]
    for epoch in order.swapaxes(0, 1):
        state = (*state[:3], metrics)
        for start in range(0, epoch.shape[1], batch_size):
            rows = epoch[:, start : start + batch_size]
            logs, state = step(state, tuple(array[rows] for array in data))
        kept.append(state[:2])
        logged.append(logs)
    return state, *(jax.tree.map(lambda *values: jnp.stack(values), *each) for each in (kept, logged))


def assert_trains_alike(model, data, *, networks=6, epochs=2, batch_size=8, group=4, rates=None, rtol=1e-4):
    state = prepared(model, data, networks, rates)
    order = orders(range(-(-networks // group)), epochs, len(data[0]))
    last, found = compiled(
        lambda state, order: train_last(model.train_step, state, order, data, batch_size=batch_size, group=group),
        state,
        order,
    )
    expected, kept, logged = train_each(model, state, order, data, batch_size, group)
    assert_close(last, expected, rtol)
    assert_close(found.weights, kept, rtol)
    assert_close(found.metrics, logged, rtol)
    assert found.measured is None
    return last


X, y = parabolas(20)
X, y = X.astype(np.float32), y.astype(np.float32)[:, None]


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_the_article(activation, article):
    assert_trains_alike(article(activation), (X, y), rates=np.linspace(0.1, 1, 6))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "nesterov": True, "clipnorm": 0.1}),
        ("Adam", {"amsgrad": True}),
        ("RMSprop", {"centered": True, "momentum": 0.5}),
        ("AdamW", {"weight_decay": 0.1}),
    ],
)
def test_optimizers(name, settings, article, keras):
    optimizer = getattr(keras.optimizers, name)(learning_rate=0.01, **settings)
    assert_trains_alike(article(optimizer=optimizer), (X, y), rates=np.geomspace(1e-3, 0.1, 6))


def test_an_l2_penalty(article, keras):
    assert_trains_alike(article(kernel_regularizer=keras.regularizers.L2(0.1)), (X, y))


def test_dropout_and_batch_normalization(keras):
    hidden = [keras.layers.Dense(4, "tanh"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=1)]
    model = networks_of(keras, [*hidden, keras.layers.Dense(1, "sigmoid")], keras.optimizers.SGD(0.1))
    last = assert_trains_alike(model, (X, y))
    seeds = next(
        array for variable, array in zip(model.non_trainable_variables, last[1], strict=True) if "seed" in variable.path
    )
    assert len(np.unique(seeds, axis=-1).T) == 6


def test_classes(keras):
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(20, 2)).astype(np.float32)
    classes = (inputs[:, 0] > 0) + (inputs[:, 1] > 0)
    dense = keras.layers.Dense
    layers = [dense(16, "relu"), dense(16, "relu"), dense(3, "softmax")]
    model = networks_of(keras, layers, "adam", "sparse_categorical_crossentropy")
    assert_trains_alike(model, (inputs, classes.astype(np.int32)))


def test_a_small_cnn(keras):
    rng = np.random.default_rng(3)
    images = rng.normal(size=(20, 6, 6, 1)).astype(np.float32)
    bright = (images.mean(axis=(1, 2)) > 0).astype(np.float32)
    layers = [
        keras.layers.Conv2D(2, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(1, "sigmoid"),
    ]
    model = networks_of(keras, layers, keras.optimizers.SGD(0.1, momentum=0.9), shape=(6, 6, 1))
    assert_trains_alike(model, (images, bright), networks=3, group=2)


@pytest.mark.parametrize("batch_size", [1, 10, 19, 20, 21])
def test_batches_of_any_size(batch_size, article):
    data = (X[:4], y[:4]) if batch_size == 1 else (X, y)
    assert_trains_alike(article(), data, batch_size=batch_size)


def test_a_network_trains_as_fit_trains_it(article):
    model = article()
    state = prepared(model, (X, y), 16)
    order = orders([7], 3, 20)
    _, found = compiled(lambda *given: train_last(model.train_step, *given, (X, y), batch_size=8), state, order)
    for network in (0, 15):
        model.set_weights([array[..., network] for array in state[0]])
        for epoch, rows in enumerate(order[0]):
            history = model.fit(X[rows], y[rows], batch_size=8, shuffle=False, verbose=0).history
            for array, expected in zip(found.weights[0], model.get_weights(), strict=True):
                np.testing.assert_allclose(array[epoch + 1, ..., network], expected, rtol=1e-5, atol=1e-6)
            for name, (value,) in history.items():
                assert float(found.metrics[name][epoch, network]) == pytest.approx(value, rel=1e-5)


def test_measures_are_taken_of_all_examples_in_each_epoch(article):
    inputs, targets = parabolas(300)
    data = inputs.astype(np.float32), targets.astype(np.float32)[:, None]
    model = article()
    state = prepared(model, data, 6)

    def add(found, state, examples):
        (trainable, others, *_), (inputs, targets) = state, examples
        outputs, _ = model.stateless_call(trainable, others, inputs, training=False)
        return {"right": found["right"] + ((outputs > 0.5) == targets).sum(), "sum": found["sum"] + outputs.sum()}

    measure = Measure({"right": 0, "sum": 0.0}, add)
    _, found = compiled(
        lambda *given: train_last(model.train_step, *given, data, batch_size=32, group=3, measure=measure),
        state,
        orders([1, 2], 2, 300),
    )
    assert found.measured["right"].shape == (3, 6)
    for epoch in range(3):
        for network in range(6):
            weights = [array[epoch, ..., network] for array in found.weights[0]]
            outputs, _ = model.stateless_call(weights, [], data[0], training=False)
            assert found.measured["right"][epoch, network] == ((np.asarray(outputs) > 0.5) == data[1]).sum()
            assert float(found.measured["sum"][epoch, network]) == pytest.approx(float(outputs.sum()), rel=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_networks_do_not_depend_on_their_neighbours(activation, article):
    model = article(activation, kernel_initializer="zeros")
    state = prepared(model, (X, y), 64)
    order = orders([5, 6, 5, 8], 3, 20)
    # The third group is the first once more.
    state = jax.tree.map(lambda array: jnp.concatenate([array[..., :32], array[..., :16], array[..., 48:]], -1), state)

    def train(networks, groups):
        given = jax.tree.map(lambda array: array[..., networks], state), order[groups]
        _, found = compiled(lambda *given: train_last(model.train_step, *given, (X, y), batch_size=8), *given)
        return jax.tree.map(np.asarray, (found.weights, found.metrics))

    def assert_equal(found, expected):
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(one, other)

    def cut(found, networks):
        return jax.tree.map(lambda array: array[..., networks], found)

    every = train(slice(64), slice(4))
    assert_equal(cut(every, slice(16)), cut(every, slice(32, 48)))
    for groups in (slice(0, 1), slice(1, 4)):
        networks = slice(groups.start * 16, groups.stop * 16)
        assert_equal(train(networks, groups), cut(every, networks))


def test_orders_must_fit_networks_and_data(article):
    model = article()
    state = prepared(model, (X, y), 20)
    with pytest.raises(ValueError, match="20 networks in groups of 16 need 2 orders of the examples, not 3"):
        train_last(model.train_step, state, orders(range(3), 1, 20), (X, y), batch_size=8)
    with pytest.raises(ValueError, match="the orders are of 19 examples, but there are 20"):
        train_last(model.train_step, state, orders(range(2), 1, 19), (X, y), batch_size=8)


# Orders


@pytest.mark.parametrize(
    ("examples", "dtype"), [(1, "u2"), (2, "u2"), (7, "u2"), (2048, "u2"), (2049, "u2"), (70_000, "u4")]
)
def test_orders_are_permutations(examples, dtype):
    found = orders([0, 2**64 + 5], 3, examples)
    assert found.dtype == dtype
    assert (np.sort(found, axis=-1) == np.arange(examples)).all()
    assert examples < 8 or len({tuple(order[:8]) for order in found.reshape(-1, examples)}) == 6


@pytest.mark.parametrize("examples", [9, 3000])
def test_orders_depend_on_their_seeds_only(examples):
    every = orders(range(6), 2, examples)
    for seed in range(6):
        np.testing.assert_array_equal(orders([seed], 2, examples)[0], every[seed])
    np.testing.assert_array_equal(orders([4, 1], 2, examples), every[[4, 1]])
    np.testing.assert_array_equal(orders([], 2, examples), every[:0])


def test_orders_stay_as_they_are():
    assert orders([1], 2, 8).tolist() == [[[7, 5, 1, 6, 0, 4, 2, 3], [3, 7, 6, 2, 0, 5, 4, 1]]]
    assert orders([1], 1, 2049)[0, 0, :6].tolist() == [1261, 404, 476, 1172, 1212, 90]


@pytest.mark.parametrize("examples", [4, 2049])
def test_all_orders_are_equally_likely(examples):
    from scipy.stats import chisquare

    # Of more examples: in which order four of them come.
    drawn = orders(range(40), 60 if examples > 4 else 600, examples).reshape(-1, examples)
    places = np.argsort(drawn, axis=1)[:, np.linspace(0, examples - 1, 4).astype(int)]
    ranks = places.argsort(axis=1) @ [64, 16, 4, 1]
    assert chisquare(np.unique(ranks, return_counts=True)[1]).pvalue > 0.01
    assert len(np.unique(ranks)) == 24
    # And every example is at every place.
    first = np.histogram(drawn[:, 0], bins=4, range=(0, examples))[0]
    assert chisquare(first, len(drawn) * np.diff(np.ceil(np.linspace(0, examples, 5))) / examples).pvalue > 0.01

"""Replays of JAX trainings against JAX itself and against NumPy in double precision."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import netlapse
from netlapse.datasets import parabolas
from netlapse.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
nn = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")
eqx = pytest.importorskip("equinox")
jnp = jax.numpy

from netlapse.jax import Recorder  # noqa: E402
from netlapse.replay.network import Tap  # noqa: E402
from netlapse.store import Run  # noqa: E402

NEAR = {"rtol": 1e-5, "atol": 1e-5}
KEY = jax.random.key(0)
X, y = parabolas(40)
X = X.astype(np.float32)
rng = np.random.default_rng(0)
PICTURES = rng.normal(size=(12, 8, 8, 1)).astype(np.float32)
CLASSES = rng.integers(0, 3, 12)
TOKENS = rng.integers(0, 11, (10, 6))


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """The same networks are compiled again and again here: JAX looks them up instead."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@dataclass
class Case:
    apply: Callable[..., Any]
    params: Any
    probe: Any
    loss: Any
    layers: list[tuple[str, str, int | None, str | None]]
    state: Any = None
    rng: Any = None
    # Whether the parameters are to be passed with `apply`, since they are no dicts, lists and tuples.
    template: bool = False
    # Layers that everything passes through, and that are flat.
    heads: tuple[str, ...] = ()
    bypassed: tuple[str, ...] = ()
    # The pre-activations of some layers: of params and inputs.
    values: dict[str, Callable[[Any, Any], Any]] = field(default_factory=dict)

    def __call__(self, params, inputs):
        more = [part for part in (self.state, self.rng) if part is not None]
        outputs = self.apply(params, *more, inputs)
        return outputs[0] if self.state is not None and isinstance(outputs, tuple) else outputs


bce = optax.sigmoid_binary_cross_entropy
ce = optax.softmax_cross_entropy_with_integer_labels


def flax_mlp():
    class Network(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(4)(x)))
            x = nn.Dropout(0.5, deterministic=not train)(x)
            return nn.Dense(1)(nn.gelu(nn.Dense(2, name="space")(x)))

    network = Network()
    variables = network.init(KEY, X[:1])
    state = jax.tree.map(lambda leaf: leaf + 0.3, {"batch_stats": variables["batch_stats"]})
    return Case(
        lambda params, state, x: network.apply({"params": params, **state}, x),
        variables["params"],
        (X, y[:, None]),
        bce,
        [
            ("Dense_0", "Dense", 4, None),
            ("BatchNorm_0", "Layer", 4, "relu"),
            ("space", "Dense", 2, "gelu"),
            ("Dense_1", "Dense", 1, None),
        ],
        state=state,
        values={"Dense_0": lambda p, x: x @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]},
        heads=("Dense_0", "BatchNorm_0", "space"),
    )


def flax_variables():
    network = nn.Sequential([nn.Dense(3), jnp.tanh, nn.Dense(1), nn.sigmoid])
    return Case(
        jax.jit(network.apply),
        network.init(KEY, X[:1]),
        (X, y[:, None].astype(np.float32)),
        lambda p, t: -(t * jnp.log(p) + (1 - t) * jnp.log(1 - p)),
        [("layers_0", "Dense", 3, "tanh"), ("layers_2", "Dense", 1, "sigmoid")],
        heads=("layers_0",),
    )


def nnx_module():
    class Network(nnx.Module):
        def __init__(self, rngs):
            self.hidden = nnx.Linear(2, 3, rngs=rngs)
            self.norm = nnx.BatchNorm(3, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.out = nnx.Linear(3, 1, rngs=rngs)

        def __call__(self, x):
            return self.out(self.drop(nnx.silu(self.norm(self.hidden(x)))))

    network = Network(nnx.Rngs(0))
    network.eval()
    graph, params = nnx.split(network)
    return Case(
        lambda params, x: nnx.merge(graph, params)(x),
        params,
        (X, y),
        bce,
        [("hidden", "Dense", 3, None), ("norm", "Layer", 3, "silu"), ("out", "Dense", 1, None)],
        template=True,
        heads=("hidden", "norm"),
    )


def nnx_itself():
    class Network(nnx.Module):
        def __init__(self, rngs):
            self.hidden = nnx.Linear(2, 3, rngs=rngs)
            self.out = nnx.Linear(3, 1, rngs=rngs)

        def __call__(self, x):
            return self.out(nnx.elu(self.hidden(x)))

    return Case(
        lambda network, x: network(x),
        Network(nnx.Rngs(0)),
        (X, y),
        bce,
        [("hidden", "Dense", 3, "elu"), ("out", "Dense", 1, None)],
        template=True,
        heads=("hidden",),
    )


def equinox():
    return Case(
        lambda model, x: jax.vmap(model)(x),
        eqx.nn.MLP(2, 1, 4, 2, activation=jax.nn.leaky_relu, use_final_bias=False, key=KEY),
        (X, y[:, None]),
        bce,
        [
            ("layers/0", "Dense", 4, "leaky_relu"),
            ("layers/1", "Dense", 4, "leaky_relu"),
            ("layers/2", "Dense", 1, None),
        ],
        template=True,
        values={"layers/0": lambda m, x: x @ m.layers[0].weight.T + m.layers[0].bias},
        heads=("layers/0", "layers/1"),
    )


def plain_function():
    w = np.random.default_rng(3)
    params = [(w.normal(size=size).astype(np.float32), np.ones(size[1], np.float32)) for size in ((2, 2), (2, 1))]

    def apply(params, x):
        for W, b in params[:-1]:
            x = jnp.tanh(x @ W + b)
        W, b = params[-1]
        return jax.nn.sigmoid(x @ W + b)[:, 0]

    return Case(
        apply,
        params,
        (X, y),
        lambda p, t: (p - t) ** 2,
        [("0", "Dense", 2, "tanh"), ("1", "Dense", 1, "sigmoid")],
        heads=("0",),
    )


def names_at_the_top():
    w = np.random.default_rng(4)
    params = {"W1": w.normal(size=(2, 3)), "b1": w.normal(size=3), "W2": w.normal(size=(3, 1)), "b2": w.normal(size=1)}
    return Case(
        lambda p, x: jax.nn.softplus(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"],
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params),
        (X, y),
        bce,
        [("W1", "Dense", 3, "softplus"), ("W2", "Dense", 1, None)],
        heads=("W1",),
    )


def convolve(params, x):
    kernel, x = params["Conv_0"]["kernel"], np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(x[:, i : i + 8, j : j + 8] @ kernel[i, j] for i in range(3) for j in range(3)) + params["Conv_0"]["bias"]


def cnn():
    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.max_pool(nn.relu(nn.Conv(4, (3, 3))(x)), (2, 2), (2, 2))
            return nn.log_softmax(nn.Dense(3)(x.reshape(x.shape[0], -1)))

    network = Network()
    return Case(
        lambda params, x: network.apply({"params": params}, x),
        network.init(KEY, PICTURES[:1])["params"],
        (PICTURES, CLASSES),
        lambda logs, t: -jnp.take_along_axis(logs, t[:, None], axis=1)[:, 0],
        [("Conv_0", "Conv", 4, "relu"), ("Dense_0", "Dense", 3, "log_softmax")],
        values={"Conv_0": convolve},
    )


def transformer():
    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = x + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(x), mask=nn.make_causal_mask(x[..., 0]))
            return x + nn.Dense(8)(nn.gelu(nn.Dense(16)(nn.LayerNorm()(x)), approximate=False))

    class Network(nn.Module):
        @nn.compact
        def __call__(self, tokens):
            embed = nn.Embed(11, 8)
            x = embed(tokens) + self.param("places", nn.initializers.normal(), (6, 8))
            return embed.attend(nn.remat(Block)()(x))

    network = Network()
    return Case(
        lambda params, x: network.apply({"params": params}, x),
        network.init(KEY, TOKENS[:1])["params"],
        (TOKENS, np.roll(TOKENS, -1, axis=1)),
        ce,
        [
            ("Embed_0@1", "Embedding", 8, None),
            ("places", "Layer", 8, None),
            ("CheckpointBlock_0/LayerNorm_0", "Layer", 8, None),
            ("CheckpointBlock_0/MultiHeadDotProductAttention_0/query", "Dense", 4, None),
            ("CheckpointBlock_0/MultiHeadDotProductAttention_0/key", "Dense", 4, None),
            ("CheckpointBlock_0/MultiHeadDotProductAttention_0/value", "Dense", 4, None),
            ("CheckpointBlock_0/MultiHeadDotProductAttention_0/out", "Dense", 8, None),
            ("CheckpointBlock_0/LayerNorm_1", "Layer", 8, None),
            ("CheckpointBlock_0/Dense_1", "Dense", 16, "gelu"),
            ("CheckpointBlock_0/Dense_0", "Dense", 8, None),
            ("Embed_0@2", "Dense", 11, None),
        ],
    )


def residual():
    def apply(params, x):
        z = x @ params["in"]["w"]
        return z + jax.nn.relu(z @ params["round"]["w"]) @ params["out"]["w"]

    w = np.random.default_rng(5)
    return Case(
        apply,
        {
            name: {"w": w.normal(size=size).astype(np.float32)}
            for name, size in (("in", (2, 2)), ("round", (2, 2)), ("out", (2, 2)))
        },
        (X, np.eye(2, dtype=np.float32)[y.astype(int)]),
        optax.softmax_cross_entropy,
        [("in", "Dense", 2, None), ("round", "Dense", 2, "relu"), ("out", "Dense", 2, None)],
        heads=("in",),
        bypassed=("round",),
    )


def several():
    """Two inputs and two outputs, an rng, and weights that are applied twice."""
    w = np.random.default_rng(6)
    params = {"shared": {"w": w.normal(size=(2, 3)), "b": w.normal(size=3)}, "head": {"w": w.normal(size=(3, 1))}}

    def apply(params, key, inputs):
        hidden = [jnp.tanh(inputs[k] @ params["shared"]["w"] + params["shared"]["b"]) for k in ("left", "right")]
        noise = jax.random.normal(key, (1,))
        return {"score": (hidden[0] - hidden[1]) @ params["head"]["w"] + noise, "left": hidden[0]}

    return Case(
        apply,
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params),
        ({"left": X, "right": X[::-1].copy()}, y[:, None]),
        lambda outputs, t: bce(outputs["score"], t) + 0.1 * (outputs["left"] ** 2).sum(-1, keepdims=True),
        [("shared@1", "Dense", 3, "tanh"), ("shared@2", "Dense", 3, "tanh"), ("head", "Dense", 1, None)],
        bypassed=("shared@1",),
        rng=jax.random.key(7),
    )


CASES = [
    flax_mlp,
    flax_variables,
    nnx_module,
    nnx_itself,
    equinox,
    plain_function,
    names_at_the_top,
    cnn,
    transformer,
    residual,
    several,
]


def moved(params, by):
    def move(leaf):
        is_float = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf + by * jnp.cos(jnp.arange(leaf.size).reshape(leaf.shape)) if is_float else leaf

    return jax.tree.map(move, params)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.__name__)
def recorded(request, tmp_path_factory):
    """A case, its parameters at each frame, and its run."""
    case = request.param()
    path = tmp_path_factory.mktemp("runs") / "run"
    frames = [moved(case.params, by) for by in (0.0, 0.1, -0.2)]
    recorder = Recorder(path, case.apply, frames[0], probe=case.probe, loss=case.loss, state=case.state, rng=case.rng)
    with recorder:
        for params in frames[1:]:
            recorder.epoch(params)
    return case, frames, path


@pytest.fixture(params=["stored", "live"])
def replayed(request, recorded):
    """The same, replayed without the user's code or with it."""
    case, frames, path = recorded
    if request.param == "stored":
        return case, frames, netlapse.open(path)
    trees = [case.params, *([case.state] if case.state is not None else [])]
    return case, frames, netlapse.open(path, model=(case.apply, *trees) if case.template else case.apply)


def test_layers(recorded):
    case, _, path = recorded
    layers = netlapse.open(path).layers
    assert [(layer.name, layer.type, layer.units, layer.activation) for layer in layers] == case.layers


def test_outputs_are_those_of_apply(replayed):
    case, frames, replay = replayed
    outputs = replay.outputs()
    for number, params in enumerate(frames):
        expected = case(params, case.probe[0])
        found = outputs if isinstance(outputs, dict) else {"": outputs}
        arrays = jax.tree.leaves(expected)
        for array, name in zip(arrays, found, strict=True):
            np.testing.assert_allclose(found[name][number], array, **NEAR)


def example_losses(case, params, inputs, targets):
    outputs = case(params, inputs)
    if not isinstance(outputs, dict) and outputs.ndim == targets.ndim + 1 and outputs.shape[-1] == 1:
        targets = targets[..., None]
    losses = case.loss(outputs, targets)
    return losses.reshape(len(losses), -1).mean(axis=1)


def test_losses_and_gradients_are_those_of_jax(replayed):
    case, frames, replay = replayed
    losses, gradients = replay.losses(), replay.gradients()
    for number, params in enumerate(frames):
        np.testing.assert_allclose(losses[number], example_losses(case, params, *case.probe), **NEAR)

        def mean(params):
            return example_losses(case, params, *case.probe).mean()

        expected = eqx.filter_grad(mean)(params) if case.template else jax.grad(mean)(params)
        leaves = [leaf for leaf in jax.tree.leaves(expected) if hasattr(leaf, "dtype") and leaf.dtype == jnp.float32]
        # In the order of the tree, as the parameters are.
        assert len(leaves) == len(gradients) or case.template
        if len(leaves) == len(gradients):
            ordered = [name for name in replay.parameters if name in gradients]
            for name, leaf in zip(ordered, leaves, strict=True):
                np.testing.assert_allclose(gradients[name][number], leaf, rtol=1e-4, atol=1e-5)


def test_stored_and_live_agree_about_every_layer(recorded):
    case, _, path = recorded
    stored = netlapse.open(path)
    trees = [case.params, *([case.state] if case.state is not None else [])]
    live = netlapse.open(path, model=(case.apply, *trees))
    taps = [Tap(layer.name, moment) for layer in stored.layers for moment in ("pre_activation", "activation")]
    numbers, examples = np.arange(3), stored.inputs()
    for found, again in zip(*(r._evaluate(taps, numbers, examples) for r in (stored, live)), strict=True):
        assert found.shape[:2] == (3, len(jax.tree.leaves(case.probe[0])[0]))
        np.testing.assert_allclose(found, again, **NEAR)


def test_layers_are_what_their_formula_says(replayed):
    case, frames, replay = replayed
    for layer, compute in case.values.items():
        for number, params in enumerate(frames):
            np.testing.assert_allclose(replay.pre_activations(layer)[number], compute(params, case.probe[0]), **NEAR)


def test_the_rest_of_the_network_goes_on_from_a_layer(replayed):
    case, _, replay = replayed
    outputs, inputs = [Tap(name) for name in replay._network.outputs], replay.inputs()
    expected = replay._evaluate(outputs, np.arange(3), inputs)
    begun = 0
    for layer in case.heads:
        for number in range(3):
            values = replay.activations(layer, float(number))
            found = replay._evaluate(outputs, np.array([number]), values, start=layer)
            np.testing.assert_allclose(found[0][0], expected[0][number], **NEAR)
            begun += 1
    for layer in case.bypassed:
        with pytest.raises(Unsupported, match="go round layer"):
            replay._evaluate(outputs, np.arange(3), replay.activations(layer, 0.0), start=layer)
    assert begun == 3 * len(case.heads)


def test_one_example_is_the_first_of_many(replayed):
    case, _, replay = replayed
    inputs, targets = (jax.tree.map(lambda array: array[:1], part) for part in case.probe)
    np.testing.assert_allclose(replay.losses(1.0, inputs, targets), replay.losses(1.0)[:1], **NEAR)
    for layer in replay.layers[:1]:
        one = replay.activations(layer.name, 1.0, inputs)
        np.testing.assert_allclose(one, replay.activations(layer.name, 1.0)[:1], **NEAR)


def test_models_are_the_parameters(replayed):
    case, frames, replay = replayed
    found = replay.model(2.0)
    if case.template and type(found) is dict and type(case.params) is not dict:
        return  # the run alone does not know what they were
    params = found[0] if case.state is not None else found
    for leaf, wanted in zip(jax.tree.leaves(params), jax.tree.leaves(frames[2]), strict=True):
        if callable(wanted) or jnp.issubdtype(wanted.dtype, jax.dtypes.prng_key):
            assert leaf is wanted
        else:
            np.testing.assert_array_equal(leaf, wanted)
    assert jax.tree.structure(params) == jax.tree.structure(frames[2])


def test_a_run_whose_network_knows_of_one_output_only(tmp_path):
    """As runs were written before there were heads of several outputs."""
    from netlapse.jax.kept import Kept

    inputs = np.zeros((4, 2), np.float32)

    def apply(params, x):
        return jax.nn.sigmoid(x @ params["out"]["kernel"] + params["out"]["bias"])

    params = {"out": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
    with Recorder(tmp_path / "old", apply, params, probe=(inputs, np.zeros((4, 1), np.float32))):
        pass
    run = Run(tmp_path / "old")
    content = json.loads(run.model_file("network"))
    [(output, (layer, _))] = content.pop("finals").items()
    old = json.dumps({**content, "sigmoid": layer, "takes_logits": False}).encode()
    kept = Kept.of(run.manifest, lambda role: old)
    assert kept.final_taps[output].link == "sigmoid"
    assert kept == Kept.of(run.manifest, run.model_file)

"""Gradients by the pre-activations of layers, in every framework."""

from __future__ import annotations

import itertools
import json
from copy import deepcopy
from functools import partial

import numpy as np
import pytest

import netlapse
from netlapse import datasets
from netlapse.errors import UnknownName, Unsupported
from netlapse.replay import values as values_module

from . import equivalence
from .equivalence import DOORS, Task

TASKS = {
    "softmax": Task("softmax", datasets.spirals(120, classes=3, noise=0.02), (2, 8, 8, 3), "relu", 0.1),
    "sigmoid": Task("sigmoid", datasets.parabolas(100), (2, 2, 1), "tanh", 0.5),
}
both_tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
# The others' networks are replayed as those of these.
every_door = pytest.mark.parametrize("door", ["keras", "torch", "sklearn", "jax"])


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """The same networks are compiled again and again here: JAX looks them up instead."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def replay_of(tmp_path_factory):
    """The replay of a task trained in a framework; trained once."""
    made = {}

    def replay_of(door, task):
        if (door, task.name) not in made:
            pytest.importorskip(door)
            path = tmp_path_factory.mktemp(door) / task.name
            DOORS[door].train(task, path)
            made[door, task.name] = netlapse.open(path)
        return made[door, task.name]

    return replay_of


def plain_gradients(door, task, replay, epoch, inputs, labels):
    """By the pre-activations of each layer, (example, unit), in double precision."""
    weights = [replay.weights(name, epoch) for name in DOORS[door].parameters(task)]
    weights = [array.T if DOORS[door].turned else array for array in weights]
    return equivalence.layer_gradients(task, weights, inputs, labels)


def agree(found, wanted, tolerance=2e-6):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@both_tasks
@every_door
def test_they_are_those_of_backpropagation(door, task, replay_of):
    replay = replay_of(door, task)
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(7, 2)).astype(np.float32)
    labels = rng.integers(0, max(2, task.units[-1]), 7)
    targets = labels.astype(replay.targets().dtype).reshape(-1, *replay.targets().shape[1:])
    for place, layer in enumerate(task.layers):
        of_probe = replay.layer_gradients(layer)
        assert of_probe.shape == (len(replay.epochs), len(task.data.inputs), task.units[place + 1])
        assert of_probe.dtype == np.float32
        for number, epoch in enumerate(replay.epochs):
            wanted = plain_gradients(door, task, replay, epoch, replay.inputs(), replay.targets())[place]
            agree(of_probe[number], wanted)
        assert np.abs(of_probe).max() > 1e-2
        found = replay.layer_gradients(layer, 2, inputs, targets)
        agree(found, plain_gradients(door, task, replay, 2, inputs, labels)[place])


@both_tasks
@every_door
def test_their_mean_is_the_gradient_of_the_bias(door, task, replay_of):
    replay = replay_of(door, task)
    gradients = replay.gradients()
    for layer, bias in zip(task.layers, DOORS[door].parameters(task)[1::2], strict=True):
        agree(replay.layer_gradients(layer).mean(axis=1), gradients[bias])


@every_door
def test_blocks_and_single_frames_are_the_same(door, replay_of, monkeypatch):
    task = TASKS["softmax"]
    replay = replay_of(door, task)
    whole = replay.layer_gradients("hidden_1")
    one_by_one = [replay.layer_gradients("hidden_1", epoch) for epoch in replay.epochs]
    agree(whole, one_by_one)
    monkeypatch.setattr(values_module, "BLOCK_BYTES", 4 * replay._values_per_example * 200)
    blocks = list(
        replay._layer_gradients(
            ["hidden_2", "hidden_1"], np.arange(len(replay.epochs)), replay.inputs(), replay.targets()
        )
    )
    assert len(blocks) == len(replay.epochs) * 3
    rows, columns, (second, first) = blocks[4]
    assert (rows, columns) == (slice(1, 2), slice(50, 100))
    agree(first, whole[rows, columns])
    agree(second, replay.layer_gradients("hidden_2")[rows, columns])
    agree(replay.layer_gradients("hidden_1"), whole)


@every_door
def test_an_unknown_layer_is_an_error(door, replay_of):
    with pytest.raises(UnknownName, match="no layer 'hidden_9'; it has hidden_1, hidden_2, output"):
        replay_of(door, TASKS["softmax"]).layer_gradients("hidden_9")


@every_door
def test_what_is_no_number_stays_so(door, replay_of):
    replay = replay_of(door, TASKS["softmax"])
    inputs = np.array(replay.inputs()[:6])
    inputs[2, 0] = np.nan
    found = replay.layer_gradients("hidden_2", 1, inputs, replay.targets()[:6])
    others = [0, 1, 3, 4, 5]
    assert np.isnan(found[2]).all()
    agree(found[others], replay.layer_gradients("hidden_2", 1)[others])
    weights = {name: replay.run.weights(name, np.arange(3)) for name in replay.parameters}
    broken = {name: np.array(array) for name, array in weights.items()}
    for array in broken.values():
        array[1] = np.nan
    pair = replay.inputs()[:5], replay.targets()[:5]
    sound = replay._network.layer_gradients(weights, *pair, ["hidden_1", "output"])
    for found, wanted in zip(
        replay._network.layer_gradients(broken, *pair, ["hidden_1", "output"]), sound, strict=True
    ):
        assert np.isnan(found[1]).all()
        agree(found[[0, 2]], wanted[[0, 2]])


def by_differences(rest, z, chosen, step=1e-6):
    """Gradient of each example's loss by some numbers of its pre-activation: `rest` computes losses from these."""
    found = []
    for place in chosen:
        shift = np.zeros(z.shape[1:])
        shift.flat[place] = step
        found.append((rest(z + shift) - rest(z - shift)) / (2 * step))
    return np.stack(found, axis=1)


def pooled(values):
    count, height, width, channels = values.shape
    return values.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def softmax_losses(z, labels):
    z = z - z.max(axis=-1, keepdims=True)
    return np.log(np.exp(z).sum(axis=-1)) - z[np.arange(len(z)), labels]


def test_a_convolutional_network_of_keras(tmp_path):
    keras = pytest.importorskip("keras")
    from netlapse.keras import Recorder

    layers = keras.layers
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(30, 8, 8, 1)).astype(np.float32), rng.integers(0, 4, 30)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(5, name="dense"),
            layers.Activation("tanh", name="bend"),
            layers.ReLU(name="cut"),
            layers.Dense(4, activation="softmax", name="output"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=2, verbose=0, callbacks=[Recorder(tmp_path / "run", probe=(images, labels))])
    replay = netlapse.open(tmp_path / "run")
    w = {name: replay.weights(name, 2).astype(np.float64) for name in replay.parameters}

    def from_cut(z):
        return softmax_losses(np.maximum(z, 0) @ w["output/kernel"] + w["output/bias"], labels)

    def from_dense(z):
        return from_cut(np.tanh(z))

    def from_pool(values):
        return from_dense(values.reshape(len(values), -1) @ w["dense/kernel"] + w["dense/bias"])

    rest = {
        "conv": lambda z: from_pool(pooled(np.maximum(z, 0))),
        "pool": from_pool,
        "flat": from_pool,
        "dense": from_dense,
        "bend": from_dense,
        "cut": from_cut,
        "output": lambda z: softmax_losses(z, labels),
    }
    assert [*rest] == [layer.name for layer in replay.layers]
    for layer, function in rest.items():
        z = replay.pre_activations(layer, 2)
        found = replay.layer_gradients(layer, 2)
        assert found.shape == z.shape
        chosen = rng.permutation(z[0].size)[:20]
        agree(found.reshape(len(z), -1)[:, chosen], by_differences(function, z.astype(np.float64), chosen), 1e-5)
        assert np.abs(found).max() > 1e-3


def test_layers_of_keras_that_are_shared_nested_or_normalise(tmp_path):
    keras = pytest.importorskip("keras")
    from netlapse.keras import Recorder

    layers = keras.layers
    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(6, activation="elu", name="deep")], name="inner")
    shared = layers.Dense(6, activation="tanh", name="shared")
    inputs = keras.Input((2,))
    first = layers.Dense(6, name="first")(inputs)
    cut = layers.ReLU(name="cut")(layers.BatchNormalization(name="norm")(first))
    both = layers.Add(name="both")([cut, inner(shared(shared(cut)))])
    model = keras.Model(inputs, layers.Dense(1, name="output")(both))
    model.compile(keras.optimizers.SGD(0.05), "mse")
    points, _ = TASKS["sigmoid"].data
    values = points[:, :1] * points[:, 1:]
    model.fit(points, values, epochs=2, verbose=0, callbacks=[Recorder(tmp_path / "run", probe=(points, values))])
    replay = netlapse.open(tmp_path / "run")
    gradients = replay.gradients()

    def mean(layer):
        return replay.layer_gradients(layer).mean(axis=1)

    agree(mean("first"), gradients["first/bias"])
    agree(mean("norm"), gradients["norm/beta"])
    agree(mean("cut"), gradients["norm/beta"])
    agree(mean("shared@1") + mean("shared@2"), gradients["shared/bias"])
    agree(mean("inner/deep"), gradients["inner/deep/bias"])
    agree(mean("output"), gradients["output/bias"])
    kernel = replay.weights("output/kernel")
    agree(replay.layer_gradients("both"), replay.layer_gradients("output") * np.swapaxes(kernel, 1, 2))
    # A model within has the values of its last layer's activations.
    agree(replay.layer_gradients("inner"), replay.layer_gradients("both"))


@pytest.mark.parametrize("how", ["from the run", "passed", "passed, and not to be exported"])
def test_a_module_of_torch(how, tmp_path):
    torch = pytest.importorskip("torch")
    from netlapse.torch import Recorder

    nn, F = torch.nn, torch.nn.functional
    steered = "exported" in how

    class Pieces(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.bend = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU()
            self.hidden, self.again, self.output = nn.Linear(27, 5), nn.Linear(5, 5), nn.Linear(5, 4)

        def forward(self, x):
            if steered and x.sum() > 1e9:
                x = -x
            h = F.max_pool2d(self.bend(self.norm(self.conv(x))), 2).flatten(1)
            h = torch.tanh(self.hidden(h))
            h = h + self.again(h).relu_()
            h = F.elu(self.again(h))
            return self.output(h)

    torch.manual_seed(0)
    images, labels = torch.randn(20, 1, 8, 8), torch.randint(0, 4, (20,))
    model = Pieces()
    model(images)  # the statistics
    with Recorder(tmp_path / "run", model, probe=(images, labels), loss=nn.CrossEntropyLoss()) as recorder:
        weights = [deepcopy(model.state_dict())]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        recorder.epoch()
    replay = netlapse.open(tmp_path / "run", model=None if how == "from the run" else Pieces())
    assert type(replay._network._network).__name__ == ("Eager" if steered else "Stored")
    weights.append(deepcopy(model.state_dict()))
    for number, epoch in enumerate(replay.epochs):
        model.load_state_dict(weights[number])
        model.eval()
        seen = {}

        def note(name, module, given, made, seen=seen):
            z = given[0] if name == "bend" else made
            z.retain_grad()
            seen.setdefault(name, []).append(z)
            # What works in place is not to reach it.
            return None if name == "bend" else made.clone()

        hooks = [module.register_forward_hook(partial(note, name)) for name, module in model.named_children()]
        F.cross_entropy(model(images), labels, reduction="sum").backward()
        for hook in hooks:
            hook.remove()
        again = seen.pop("again")
        wanted = {name: z.grad for name, [z] in seen.items()} | {"again@1": again[0].grad, "again@2": again[1].grad}
        assert wanted.keys() == {layer.name for layer in replay.layers}
        for layer, gradient in wanted.items():
            agree(replay.layer_gradients(layer, epoch), gradient)
            assert gradient.abs().max() > 1e-3


@pytest.mark.parametrize("how", ["from the run", "passed"])
def test_a_function_of_jax_with_derivatives_of_its_own(how, tmp_path):
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    from netlapse.jax import Recorder

    jnp = jax.numpy

    @jax.custom_vjp
    def straight_through(z):
        return jnp.sign(z)

    straight_through.defvjp(lambda z: (jnp.sign(z), None), lambda _, back: (back,))

    @jax.custom_vjp
    def turned(values):
        return values

    turned.defvjp(lambda values: (values, None), lambda _, back: (-0.5 * back,))

    def apply(params, inputs, shifts=None):
        shifts = shifts or dict.fromkeys(params, 0.0)
        first = jax.nn.relu(inputs @ params["a"]["kernel"] + params["a"]["bias"] + shifts["a"])
        second = straight_through(first @ params["b"]["kernel"] + params["b"]["bias"] + shifts["b"])
        third = jax.nn.softplus(second @ params["c"]["kernel"] + params["c"]["bias"] + shifts["c"])
        return (turned(third) + third) @ params["d"]["kernel"] + params["d"]["bias"] + shifts["d"]

    rng = np.random.default_rng(1)
    units = [2, 6, 6, 6, 3]
    params = {
        name: {"kernel": jnp.array(rng.normal(size=shape), jnp.float32), "bias": jnp.zeros(shape[1])}
        for name, shape in zip("abcd", itertools.pairwise(units), strict=True)
    }
    inputs, labels = rng.normal(size=(9, 2)).astype(np.float32), rng.integers(0, 3, 9)
    inputs[0] = 0  # exactly at the kink of relu
    loss = optax.softmax_cross_entropy_with_integer_labels
    with Recorder(tmp_path / "run", apply, params, probe=(inputs, labels), loss=loss):
        pass
    replay = netlapse.open(tmp_path / "run", model=None if how == "from the run" else apply)
    nothing = {name: jnp.zeros((9, size)) for name, size in zip("abcd", units[1:], strict=True)}
    wanted = jax.grad(lambda shifts: loss(apply(params, inputs, shifts), labels).sum())(nothing)
    for layer, gradient in wanted.items():
        agree(replay.layer_gradients(layer, 0), gradient)
        assert np.abs(gradient).max() > 1e-2
    if how == "from the run":
        # As runs were before there was such a program.
        manifest = json.loads((tmp_path / "run" / "run.json").read_bytes())
        del manifest["model"]["layer-gradients"], manifest["xxh3_64"]
        (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
        with pytest.raises(Unsupported, match=r"netlapse\.open\(path, model=apply\)"):
            netlapse.open(tmp_path / "run").layer_gradients("a")
        agree(netlapse.open(tmp_path / "run", model=apply).layer_gradients("a", 0), wanted["a"])


def test_what_works_in_place_and_cannot_be_exported_is_an_error(tmp_path):
    torch = pytest.importorskip("torch")
    from netlapse.torch import Recorder

    class Steered(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.bend = torch.nn.Linear(2, 4), torch.nn.ReLU(inplace=True)
            self.output = torch.nn.Linear(4, 1)

        def forward(self, x):
            h = self.hidden(x if x.sum() < 1e9 else -x)
            self.bend(h)
            return self.output(h)

    x = torch.randn(12, 2)
    model = Steered()
    with Recorder(tmp_path / "run", model, probe=(x, x[:, :1]), loss=torch.nn.MSELoss()) as recorder:
        recorder.epoch()
    replay = netlapse.open(tmp_path / "run", model=Steered())
    agree(replay.layer_gradients("hidden").mean(axis=1), replay.gradients()["hidden.bias"])
    with pytest.raises(Unsupported, match=r"'bend' works in place.+inplace=False"):
        replay.layer_gradients("bend")

"""What the JAX recorder keeps, and what it says to bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

import netlapse
from netlapse.datasets import parabolas
from netlapse.errors import BadProbe, DamagedRun, RunError, UnknownName, Unsupported
from netlapse.store.manifest import checksum

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
jnp = jax.numpy

from netlapse.jax import Recorder  # noqa: E402
from netlapse.jax.backend import check_version  # noqa: E402

X, y = parabolas(60)
X = X.astype(np.float32)
bce = optax.sigmoid_binary_cross_entropy


def initial():
    w = np.random.default_rng(1)
    return {
        "hidden": {"kernel": jnp.asarray(w.normal(size=(2, 2)), jnp.float32), "bias": jnp.zeros(2)},
        "output": {"kernel": jnp.asarray(w.normal(size=(2, 1)), jnp.float32), "bias": jnp.zeros(1)},
    }


def apply(params, x):
    x = jnp.tanh(x @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return x @ params["output"]["kernel"] + params["output"]["bias"]


@jax.jit
def train_step(params, inputs, targets):
    loss, gradients = jax.value_and_grad(lambda p: bce(apply(p, inputs)[:, 0], targets).mean())(params)
    return jax.tree.map(lambda leaf, gradient: leaf - 0.5 * gradient, params, gradients), loss


def train(path, epochs=3, params=None, begin=0, **settings):
    """Record a training of six steps an epoch. Returns the parameters after each epoch, and the losses of all steps."""
    params = initial() if params is None else params
    kept, losses = [params], []
    settings = {"every": "epoch", **settings}
    with Recorder(path, apply, params, probe=(X, y), loss=bce, **settings) as recorder:
        for _ in range(begin, epochs):
            for start in range(0, 60, 10):
                params, loss = train_step(params, X[start : start + 10], y[start : start + 10])
                recorder.step(params, loss=loss)
                losses.append(float(loss))
            recorder.epoch(params, val_loss=len(kept))
            kept.append(params)
    return kept, losses


def test_a_training_is_kept_as_it_was(tmp_path):
    kept, losses = train(tmp_path / "run", hyperparameters={"learning_rate": 0.5}, class_names=["a", "b"])
    replay = netlapse.open(tmp_path / "run")
    assert replay.status == "complete"
    assert replay.epochs.tolist() == [0, 1, 2, 3]
    assert replay.steps.tolist() == [0, 6, 12, 18]
    for number, params in enumerate(kept):
        for layer in params:
            for name, leaf in params[layer].items():
                np.testing.assert_array_equal(replay.weights(f"{layer}/{name}")[number], leaf)
    np.testing.assert_allclose(replay.recorded("loss")[1:], np.reshape(losses, (3, 6)).mean(axis=1), rtol=1e-6)
    assert replay.recorded("val_loss")[1:].tolist() == [1, 2, 3]
    manifest = replay.run.manifest
    assert (manifest.framework, manifest.backend) == ("jax", jax.default_backend())
    assert {"jax", "jaxlib", "optax"} <= manifest.versions.keys()
    assert manifest.hyperparameters == {
        "activation": "tanh",
        "layers": 2,
        "units": [2, 1],
        "parameters": 9,
        "dtype": "float32",
        "loss": "sigmoid_binary_cross_entropy",
        "learning_rate": 0.5,
    }
    assert [(p.name, p.shape, p.trainable, p.layer) for p in manifest.parameters] == [
        ("hidden/bias", (2,), True, "hidden"),
        ("hidden/kernel", (2, 2), True, "hidden"),
        ("output/bias", (1,), True, "output"),
        ("output/kernel", (2, 1), True, "output"),
    ]
    assert replay.class_names == ("a", "b")


def test_a_2_2_1_is_what_numpy_makes_of_it_in_double_precision(tmp_path):
    kept, _ = train(tmp_path / "run")
    replay = netlapse.open(tmp_path / "run")
    for number, params in enumerate(kept):
        w = {layer: {name: np.asarray(leaf, np.float64) for name, leaf in params[layer].items()} for layer in params}
        hidden = np.tanh(X @ w["hidden"]["kernel"] + w["hidden"]["bias"])
        z = (hidden @ w["output"]["kernel"] + w["output"]["bias"])[:, 0]
        slope = (1 / (1 + np.exp(-z)) - y) / len(y)
        back = slope[:, None] * w["output"]["kernel"][:, 0] * (1 - hidden**2)
        losses = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
        epoch = float(number)
        np.testing.assert_allclose(replay.activations("hidden", epoch), hidden, atol=1e-5)
        np.testing.assert_allclose(replay.losses(epoch), losses, atol=1e-5)
        gradients = replay.gradients(epoch)
        np.testing.assert_allclose(gradients["hidden/kernel"], X.T @ back, atol=1e-5)
        np.testing.assert_allclose(gradients["output/bias"], [slope.sum()], atol=1e-5)
        assert replay.metric("accuracy", epoch) == ((z > 0) == y).mean()
        np.testing.assert_allclose(replay.curves(epoch).loss, losses.mean(), atol=1e-5)
        np.testing.assert_allclose(replay.feature_space("hidden", epoch).points[0], hidden, atol=1e-5)


def test_recording_changes_nothing(tmp_path):
    params, plain = initial(), initial()
    kept, _ = train(tmp_path / "run", params=params, every="step")
    for _ in range(3):
        for start in range(0, 60, 10):
            plain, _ = train_step(plain, X[start : start + 10], y[start : start + 10])
    jax.tree.map(np.testing.assert_array_equal, kept[-1], plain)


def test_nothing_is_read_unless_a_frame_is_due(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(jax, "device_get", lambda arrays, get=jax.device_get: read.append(len(arrays)) or get(arrays))
    train(tmp_path / "run")
    assert read == [4] * 4


def test_donated_parameters(tmp_path):
    step = jax.jit(lambda params: jax.tree.map(lambda leaf: leaf * 0.9, params), donate_argnums=0)
    params = initial()
    first = np.asarray(params["hidden"]["kernel"]).copy()
    with Recorder(tmp_path / "run", apply, params, probe=(X, y), loss=bce) as recorder:
        for _ in range(3):
            params = step(params)
            recorder.epoch(params)
    found = netlapse.open(tmp_path / "run").weights("hidden/kernel")
    np.testing.assert_allclose(found, [first * 0.9**n for n in range(4)], rtol=1e-6)


def test_steps_end_epochs_and_frames_are_those_asked_for(tmp_path):
    params = initial()
    with Recorder(tmp_path / "run", apply, params, probe=(X, y), steps_per_epoch=3, every="2 steps") as recorder:
        for number in range(7):
            recorder.step(params, loss=jnp.float32(number))
    replay = netlapse.open(tmp_path / "run")
    assert replay.steps.tolist() == [0, 2, 3, 4, 6, 7]
    with pytest.raises(Unsupported, match="loss="):
        replay.losses()
    assert netlapse.open(tmp_path / "run", loss=bce).losses().shape == (6, 60)


def test_a_state_that_is_not_passed_again_stays(tmp_path):
    state = {"offset": {"mean": jnp.ones(1)}}
    with Recorder(
        tmp_path / "run", lambda p, s, x: (apply(p, x) - s["offset"]["mean"], s), initial(), probe=(X, y), state=state
    ) as recorder:
        recorder.epoch(initial())
        recorder.epoch(initial(), {"offset": {"mean": jnp.zeros(1)}})
    replay = netlapse.open(tmp_path / "run")
    assert replay.weights("offset/mean").tolist() == [[1], [1], [0]]
    assert [p.name for p in replay.run.manifest.parameters if not p.trainable] == ["offset/mean"]


def test_without_a_context_the_run_is_open_until_it_is_closed(tmp_path):
    recorder = Recorder(tmp_path / "run", apply, initial(), probe=(X, y))
    assert netlapse.open(tmp_path / "run").status == "recording"
    recorder.epoch(initial())
    recorder.close()
    replay = netlapse.open(tmp_path / "run")
    assert (replay.status, replay.epochs.tolist()) == ("complete", [0, 1])


def test_a_training_that_tells_of_no_epoch_is_warned(tmp_path):
    with (
        pytest.warns(UserWarning, match="was told of no epoch"),
        Recorder(tmp_path / "run", apply, initial(), probe=(X, y)) as recorder,
    ):
        recorder.step(initial())


def test_an_exception_marks_the_run_as_interrupted(tmp_path):
    with pytest.raises(ZeroDivisionError), Recorder(tmp_path / "run", apply, initial(), probe=(X, y)):
        _ = 1 / 0
    assert netlapse.open(tmp_path / "run").status == "interrupted"


def test_a_run_is_resumed(tmp_path):
    kept, _ = train(tmp_path / "run", epochs=2)
    train(tmp_path / "run", epochs=4, begin=2, params=kept[-1], exist="resume")
    replay = netlapse.open(tmp_path / "run")
    assert replay.epochs.tolist() == [0, 1, 2, 3, 4]
    assert replay.steps.tolist() == [0, 6, 12, 18, 24]


def test_parameters_that_change_stop_the_recording_and_are_named(tmp_path):
    params = initial()
    changed = {**params, "hidden": {**params["hidden"], "kernel": jnp.zeros((2, 3))}, "more": {"b": jnp.zeros(1)}}
    message = r"has stopped: .*hidden/kernel was float32\[2, 2\], is float32\[2, 3\], more/b"
    with Recorder(tmp_path / "run", apply, params, probe=(X, y)) as recorder:
        recorder.epoch(params)
        with pytest.warns(UserWarning, match=message):
            recorder.epoch(changed)
    replay = netlapse.open(tmp_path / "run")
    assert (replay.status, len(replay.epochs)) == ("interrupted", 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"probe": (X[:, :1], y)}, BadProbe, "apply cannot be evaluated on the probe.*dot_general"),
        ({"apply": lambda params, x, mask: x}, BadProbe, "missing 1 required positional argument: 'mask'"),
        ({"apply": lambda params, x: apply(params, x).mean()}, BadProbe, "one row for each example"),
        ({"loss": lambda z, t: bce(z[:, 0], t).mean()}, Unsupported, "optax.sigmoid_binary_cross_entropy.*jax.vmap"),
        ({"probe": (X, np.stack([y, y, y], 1)), "loss": lambda z, t: bce(z, t["label"])}, BadProbe, "targets"),
    ],
)
def test_bad_input(tmp_path, change, error, message):
    given = {"apply": apply, "probe": (X, y), "loss": bce, **change}
    function = given.pop("apply")
    with pytest.raises(error, match=message):
        Recorder(tmp_path / "run", function, initial(), **given)
    assert not (tmp_path / "run").exists()


def test_unknown_metrics_and_other_functions(tmp_path):
    train(tmp_path / "run", epochs=1)
    with pytest.raises(UnknownName, match="JAX has no metric 'auc'"):
        netlapse.open(tmp_path / "run").metric("auc")
    with pytest.raises(Unsupported, match="recorded from another function"):
        netlapse.open(tmp_path / "run", model=lambda params, x: x @ params["hidden"]["kernel"]).outputs()
    with pytest.raises(Unsupported, match="recorded from other parameters"):
        netlapse.open(tmp_path / "run", model=(apply, {"other": jnp.zeros(3)})).outputs()


def test_what_cannot_be_exported_asks_for_the_function_with_the_reason(tmp_path):
    def by_host(params, x):
        z = apply(params, x)
        return jax.pure_callback(lambda z: np.asarray(z), jax.ShapeDtypeStruct(z.shape, z.dtype), z)

    with Recorder(tmp_path / "run", by_host, initial(), probe=(X, y)):
        pass
    with pytest.raises(Unsupported, match=r"JAX cannot run by itself \(.*python_callback.*model=apply"):
        netlapse.open(tmp_path / "run").outputs()


def test_old_versions():
    check_version("0.4.35")
    with pytest.raises(ImportError, match=r"JAX 0\.4\.30 is too old: netlapse needs 0\.4\.35"):
        check_version("0.4.30")


def test_programs_do_not_tell_where_they_were_written(tmp_path):
    limit = jax.config.jax_traceback_in_locations_limit
    train(tmp_path / "run", epochs=1)
    assert jax.config.jax_traceback_in_locations_limit == limit
    for file in (tmp_path / "run" / "model").glob("*.jax"):
        assert b".py" not in file.read_bytes()


# Runs from strangers


def rewrite(path, name, content):
    """Put other bytes in the place of a file of the model, as an attacker would: with the right checksums."""
    (path / "model" / name).write_bytes(content)
    manifest = json.loads((path / "run.json").read_bytes())
    manifest["checksums"][f"model/{name}"] = checksum(content)
    manifest.pop("xxh3_64", None)
    (path / "run.json").write_text(json.dumps(manifest))


def exported(function, *specs, unchecked=()):
    checks = [jax.export.DisabledSafetyCheck.custom_call(name) for name in unchecked]
    return jax.export.export(jax.jit(function), disabled_checks=checks)(*specs).serialize(vjp_order=0)


@pytest.fixture
def run(tmp_path):
    train(tmp_path / "run", epochs=1)
    return tmp_path / "run"


def specs():
    [b] = jax.export.symbolic_shape("b", constraints=("b >= 2",))
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), initial())
    flat = {f"{layer}/{name}": leaf for layer, leaves in shapes.items() for name, leaf in leaves.items()}
    return flat, jax.ShapeDtypeStruct((b, 2), jnp.float32)


def test_a_program_that_calls_python_is_refused(run):
    target = "xla_ffi_python_cpu_callback"

    def forward(weights, x):
        return [jax.ffi.ffi_call(target, jax.ShapeDtypeStruct((4, 1), x.dtype))(x, index=np.uint64(0))]

    static = specs()[0], jax.ShapeDtypeStruct((4, 2), jnp.float32)
    rewrite(run, "outputs.jax", exported(forward, *static, unchecked=[target]))
    with pytest.raises(Unsupported, match="it calls 'xla_ffi_python_cpu_callback'"):
        netlapse.open(run).outputs()


@pytest.mark.parametrize("size", [2**29, 2**40])
def test_a_program_that_fills_the_memory_is_refused(run, size):
    def forward(weights, x):
        return [x[:, :1] + jnp.cumsum(jnp.arange(size, dtype=jnp.float32) * x[0, 0])[-1]]

    rewrite(run, "outputs.jax", exported(forward, *specs()))
    with pytest.raises(Unsupported, match="too large"):
        netlapse.open(run).outputs()


def test_arrays_that_grow_with_the_examples_are_counted_before_they_are_made(run):
    def forward(weights, x):
        wide = jnp.broadcast_to(x[:, :1], (x.shape[0], 2**27))
        return [jnp.sort(wide * jnp.sin(wide), axis=1)[:, :1]]

    rewrite(run, "outputs.jax", exported(forward, *specs()))
    with pytest.raises(Unsupported, match="GiB"):
        netlapse.open(run).outputs()


def test_bytes_that_are_no_program_are_refused(run):
    sound = (run / "model" / "outputs.jax").read_bytes()
    for content in (b"", b"no program", sound[: len(sound) // 2]):
        rewrite(run, "outputs.jax", content)
        with pytest.raises((Unsupported, RunError)):
            netlapse.open(run).outputs()


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("heads", 3),
        ("finals", ["hidden"]),
        ("finals", {"output": ["hidden", "tanh"]}),
        ("finals", {"output": ["nowhere", "sigmoid"]}),
        ("taps", [["hidden"]]),
        ("inputs", {"": [[2], "no dtype"]}),
        ("inputs", {"": [["x"], "float32"]}),
        ("output_tree", {"dict": {"a": "no output"}}),
        ("structure", [{"dict": {"a": "no/parameter"}}, None]),
        ("rng", {"data": "x"}),
    ],
)
def test_a_description_that_lies_is_refused(run, entry, value):
    content = {**json.loads((run / "model" / "network.json").read_bytes()), entry: value}
    rewrite(run, "network.json", json.dumps(content).encode())
    with pytest.raises(DamagedRun, match="does not say what its network is"):
        netlapse.open(run).outputs()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"inputs": 1}', b"[" * 100_000])
def test_a_description_that_is_none_is_refused(run, content):
    rewrite(run, "network.json", content)
    with pytest.raises(DamagedRun):
        netlapse.open(run).outputs()

"""Keras models beyond one input, one output and one chain of layers, against Keras' own predict and gradients."""

from __future__ import annotations

import numpy as np
import pytest

import netlapse
from netlapse.errors import BadProbe, UnknownName, Unsupported
from netlapse.replay.network import Tap

keras = pytest.importorskip("keras")
layers, ops = keras.layers, keras.ops
BACKEND = keras.backend.backend()

from netlapse.keras import Recorder, capture, restore  # noqa: E402

NEAR = {"rtol": 1e-5, "atol": 1e-5}
RNG = np.random.default_rng(5)
A = RNG.normal(size=(24, 3)).astype(np.float32)
B = RNG.normal(size=(24, 2)).astype(np.float32)
LABELS = (A[:, 0] + B[:, 0] > 0).astype(np.float32)
PRICES = (A @ [1.0, -1.0, 0.5]).astype(np.float32)


def opened(model, path, inputs, targets):
    capture(model, path, (inputs, targets))
    return netlapse.open(path)


def trained(model, path, inputs, targets, **given):
    keras.utils.set_random_seed(3)
    recorder = Recorder(path, probe=(inputs, targets), **given)
    model.fit(inputs, targets, epochs=2, batch_size=8, verbose=0, callbacks=[recorder])
    return netlapse.open(path)


def predicted(model, inputs):
    return [np.asarray(ops.convert_to_numpy(part)) for part in keras.tree.flatten(model.predict(inputs, verbose=0))]


def gradients(model, loss):
    """What the backend's own autodiff finds for a plain loss of the model's outputs, by place."""
    if BACKEND == "jax":
        import jax

        def total(trainable):
            with keras.StatelessScope(list(zip(model.trainable_variables, trainable, strict=True))):
                return loss()

        return [np.asarray(found) for found in jax.grad(total)([v.value for v in model.trainable_variables])]
    for variable in model.trainable_variables:
        variable.value.grad = None
    loss().backward()
    return [variable.value.grad.cpu().numpy() for variable in model.trainable_variables]


def assert_gradients(replay, model, loss, epoch=0):
    """The parameters of a run are in the order of the model's weights here."""
    found = replay.gradients(epoch)
    for name, wanted in zip(replay.parameters, gradients(model, loss), strict=True):
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-6, err_msg=name)
        assert np.abs(wanted).max() > 0


# Several inputs and outputs


def two_by_two(*, inputs=list, outputs=list, **compiled):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    both = layers.Concatenate(name="both")([layers.Dense(4, activation="tanh", name="hidden")(a), b])
    sure = layers.Dense(1, activation="sigmoid", name="label")(both)
    price = layers.Dense(1, name="price")(both)
    model = keras.Model(
        {"a": a, "b": b} if inputs is dict else [a, b],
        {"sure": sure, "worth": price} if outputs is dict else [sure, price],
    )
    model.compile(keras.optimizers.SGD(0.1), **compiled)
    return model


def cross_entropies(outputs):
    p = outputs[0].astype(float)[:, 0]
    return -np.log(np.where(LABELS == 1, p, 1 - p))


def squares(outputs):
    return (outputs[1].astype(float)[:, 0] - PRICES) ** 2


BOTH = ["binary_crossentropy", "mse"]
LOSSES = {
    "a list": ({"loss": BOTH}, 1, 1),
    "weights in a list": ({"loss": BOTH, "loss_weights": [0.5, 2.0]}, 0.5, 2),
    "a dict": ({"loss": {"price": "mse", "label": keras.losses.BinaryCrossentropy()}}, 1, 1),
    "dicts": ({"loss": {"label": BOTH[0], "price": "mse"}, "loss_weights": {"price": 3.0, "label": 0.25}}, 0.25, 3),
    "none for the first": ({"loss": [None, "mse"], "loss_weights": None}, 0, 1),
    "none for the second": ({"loss": {"label": BOTH[0], "price": None}}, 1, 0),
}


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of outputs without a loss, on torch
@pytest.mark.parametrize("given", LOSSES)
def test_losses_are_the_weighted_sum_over_outputs(given, tmp_path):
    compiled, of_labels, of_prices = LOSSES[given]
    model = two_by_two(**compiled)
    replay = trained(model, tmp_path / "run", [A, B], [LABELS, PRICES])
    assert replay.outputs().keys() == {"label", "price"}
    outputs = predicted(model, [A, B])
    for name, wanted in zip(("label", "price"), outputs, strict=True):
        np.testing.assert_allclose(replay.outputs(2)[name], wanted, **NEAR)
    wanted = (of_labels and of_labels * cross_entropies(outputs)) + (of_prices and of_prices * squares(outputs))
    np.testing.assert_allclose(replay.losses(2), wanted, rtol=1e-4, atol=1e-5)
    evaluated = model.evaluate([A, B], [LABELS, PRICES], verbose=0, return_dict=True)["loss"]
    assert replay.losses(2).mean() == pytest.approx(evaluated, rel=1e-5)

    def loss():
        sure, price = model([A, B], training=False)
        sure = ops.clip(sure[:, 0], 1e-7, 1 - 1e-7)
        entropy = -ops.mean(ops.log(ops.where(LABELS == 1, sure, 1 - sure)))
        return of_labels * entropy + of_prices * ops.mean(ops.square(ops.subtract(price[:, 0], PRICES)))

    found = replay.gradients(2)
    for name, wanted in zip(replay.parameters, gradients(model, loss), strict=True):
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-6)
    again = replay.model(2)
    for mine, wanted in zip(predicted(again, [A, B]), outputs, strict=True):
        np.testing.assert_allclose(mine, wanted, **NEAR)
    assert again.evaluate([A, B], [LABELS, PRICES], verbose=0, return_dict=True)["loss"] == pytest.approx(evaluated)


@pytest.mark.parametrize("outputs", [list, dict])
@pytest.mark.parametrize("inputs", [list, dict])
def test_arrays_in_dicts_and_lists(inputs, outputs, tmp_path):
    names = ("sure", "worth") if outputs is dict else ("label", "price")
    loss = dict(zip(names, BOTH, strict=True))
    model = two_by_two(inputs=inputs, outputs=outputs, loss=loss, loss_weights=dict.fromkeys(names, 2.0))
    wanted = predicted(model, {"a": A, "b": B})
    by_name = dict(zip(names, (LABELS, PRICES), strict=True))
    pairs = [([A, B], [LABELS, PRICES]), ({"b": B, "a": A}, by_name), ((A, B), dict(reversed(by_name.items())))]
    for place, (given, targets) in enumerate(pairs):
        replay = opened(model, tmp_path / str(place), given, targets)
        for mine in (replay, netlapse.open(tmp_path / str(place), model=model)):
            for found, out in zip(mine.outputs(0).values(), wanted, strict=True):
                np.testing.assert_allclose(found, out, **NEAR)
            np.testing.assert_allclose(mine.losses(0), 2 * (cross_entropies(wanted) + squares(wanted)), rtol=1e-4)
        for other_inputs, other_targets in pairs:
            np.testing.assert_allclose(
                replay.losses(
                    0,
                    keras.tree.map_structure(lambda array: array[:5], other_inputs),
                    keras.tree.map_structure(lambda array: array[:5], other_targets),
                ),
                replay.losses(0)[:5],
                **NEAR,
            )
    assert replay.hyperparameters[f"loss.{names[0]}"] == "binary_crossentropy"
    assert replay.hyperparameters[f"loss_weight.{names[1]}"] == 2.0
    assert replay.hyperparameters["loss"] == "binary_crossentropy + mean_squared_error"


def test_one_target_for_the_one_output_that_has_a_loss(tmp_path):
    model = two_by_two(loss=[None, "mse"])
    for place, targets in enumerate((PRICES, [PRICES], {"price": PRICES})):
        replay = opened(model, tmp_path / str(place), [A, B], targets)
        np.testing.assert_allclose(replay.losses(0), squares(predicted(model, [A, B])), **NEAR)


def test_of_several_losses_of_one_output_keras_takes_the_first(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", ["mse", "mae"], loss_weights=[2.0, 0.5])
    replay = opened(model, tmp_path / "run", A, PRICES)
    evaluated = model.evaluate(A, PRICES, verbose=0, return_dict=True)
    errors = predicted(model, A)[0][:, 0] - PRICES
    np.testing.assert_allclose(replay.losses(0), 2 * errors**2, **NEAR)
    assert replay.losses(0).mean() == pytest.approx(evaluated["loss"], rel=1e-5)


def test_of_several_outputs_one_is_shown(tmp_path):
    replay = opened(two_by_two(loss=BOTH), tmp_path / "run", [A, B], [LABELS, PRICES])
    assert dict(replay._network.input_shapes) == {"a": (3,), "b": (2,)}
    assert replay._network.outputs == ("label", "price")
    outputs = replay.outputs(0)
    assert replay.task().names == ("negative", "positive")
    np.testing.assert_allclose(replay.class_probabilities(0).probabilities[0, :, 1], outputs["label"][:, 0], **NEAR)
    np.testing.assert_allclose(replay.predictions(0, output="price").predicted[0], outputs["price"], **NEAR)
    assert replay.curves(output="price").score_name == "R²"
    with pytest.raises(UnknownName, match="no output 'prize'; it has label, price"):
        replay.curves(output="prize")
    with pytest.raises(Unsupported, match="several inputs"):
        replay.decision_boundary()
    with pytest.raises(Unsupported, match="2 targets"):
        replay.metric("accuracy")
    np.testing.assert_allclose(replay.activations("hidden", 0), np.tanh(A @ replay.weights("hidden/kernel", 0)), **NEAR)
    assert replay.pre_activations("both", 0, {"a": A[:4], "b": B[:4]}).shape == (4, 6)


PROBES = {
    "one": ((A, [LABELS, PRICES]), r"inputs are one array; model 'functional.*' takes 'a' \(3,\), 'b' \(2,\)"),
    "shape": (([A, A], [LABELS, PRICES]), r"input 'b' has shape \(3,\) per example; model .* takes \(2,\)"),
    "names": (({"a": A, "c": B}, [LABELS, PRICES]), r"inputs are 'a' \(3,\), 'c' \(2,\); model .* takes 'a' \(3,\)"),
    "missing": (([A, B], LABELS), "targets are one array; model .* has outputs 'label', 'price'"),
    "targets": (([A, B], {"label": LABELS, "prize": PRICES}), "targets are 'label', 'prize'; model .* has outputs"),
    "labels": (([A, B], [LABELS * 2, PRICES]), "targets are 0, 2; binary cross-entropy needs labels 0 and 1"),
}


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_of_other_inputs_or_targets(probe, tmp_path):
    arrays, message = PROBES[probe]
    with pytest.raises(BadProbe, match="probe " + message):
        capture(two_by_two(loss=BOTH), tmp_path / "run", arrays)
    assert not (tmp_path / "run").exists()


def test_other_inputs_are_refused_on_replay(tmp_path):
    replay = opened(two_by_two(loss=BOTH), tmp_path / "run", [A, B], [LABELS, PRICES])
    for inputs in ([A, A], A, {"a": A}, [A, B[:3]]):
        with pytest.raises(BadProbe, match="inputs have shape"):
            replay.outputs(0, inputs)


def test_a_dict_of_one_array(tmp_path):
    inputs = keras.Input((3,), name="x")
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="y")(inputs))
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    replay = opened(model, tmp_path / "run", {"x": A}, {"y": LABELS})
    for given in (None, {"x": A}, A):
        np.testing.assert_allclose(replay.outputs(0, given), model.predict(A, verbose=0), **NEAR)
    loss, accuracy = model.evaluate(A, LABELS, verbose=0)
    assert replay.losses(0).mean() == pytest.approx(loss, rel=1e-5)
    assert replay.metric("accuracy", 0) == pytest.approx(accuracy)
    with pytest.raises(BadProbe, match=r"inputs are 'z' \(3,\); model .* takes 'x' \(3,\)"):
        capture(model, tmp_path / "other", ({"z": A}, LABELS))


def test_losses_of_tokens(tmp_path):
    inputs = keras.Input((4,), dtype="int32")
    values = layers.Embedding(7, 5, name="embed")(inputs)
    next_one = layers.Dense(7, activation="softmax", name="next")(values)
    past = layers.Dense(7, activation="softmax", name="past")(values)
    tokens = RNG.integers(0, 7, (6, 4))
    model = keras.Model(inputs, [next_one, past])
    model.compile("sgd", "sparse_categorical_crossentropy", loss_weights=[1.0, 0.5])
    replay = opened(model, tmp_path / "run", tokens, [tokens, tokens[:, ::-1]])
    found = replay.token_losses(0)
    first, second = (
        -np.log(np.take_along_axis(p.astype(float), t[..., None], -1)[..., 0])
        for p, t in zip(predicted(model, tokens), (tokens, tokens[:, ::-1]), strict=True)
    )
    np.testing.assert_allclose(found, first + 0.5 * second, rtol=1e-4)
    np.testing.assert_allclose(found.mean(axis=1), replay.losses(0), rtol=1e-5)
    of_examples = opened(two_by_two(loss=BOTH), tmp_path / "other", [A, B], [LABELS, PRICES])
    with pytest.raises(Unsupported, match="one number for each example"):
        of_examples.token_losses(0)


def test_training_goes_on_with_several_inputs(tmp_path):
    def fit(model, epochs, *callbacks, **given):
        model.fit(
            {"a": A, "b": B},
            [LABELS, PRICES],
            epochs=epochs,
            batch_size=8,
            verbose=0,
            callbacks=list(callbacks),
            **given,
        )

    model, again = (two_by_two(inputs=dict, loss=BOTH) for _ in range(2))
    keras.utils.set_random_seed(8)
    fit(model, 3, Recorder(tmp_path / "run", probe=({"a": A, "b": B}, [LABELS, PRICES]), state=True))
    start = restore(again, tmp_path / "run", epoch=1)
    fit(again, 3, initial_epoch=start.epoch)
    for found, wanted in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


# Models within models


def nested():
    """Two levels, names that repeat, and a model of several inputs and outputs."""
    deep = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="relu", name="dense")], name="deep")
    left, right = keras.Input((3,)), keras.Input((2,))
    joined = layers.Dense(4, activation="tanh", name="dense")(layers.Concatenate(name="join")([left, right]))
    body = keras.Model([left, right], [deep(joined), joined], name="dense")
    head = keras.Sequential([keras.Input((7,)), layers.Dense(1, activation="sigmoid", name="out")], name="head")
    a, b = keras.Input((3,)), keras.Input((2,))
    model = keras.Model([a, b], head(layers.Concatenate(name="all")(body([a, b]))))
    model.compile("sgd", "binary_crossentropy")
    return model


def test_layers_of_models_within_models(tmp_path):
    model = nested()
    for replay in (opened(model, tmp_path / "run", [A, B], LABELS), netlapse.open(tmp_path / "run", model=nested())):
        assert [layer.name for layer in replay.layers] == [
            "dense/join",
            "dense/dense",
            "dense/deep/dense",
            "dense/deep",
            "dense",
            "all",
            "head/out",
            "head",
        ]
        layers_of_parameters = {parameter.name: parameter.layer for parameter in replay.run.manifest.parameters}
        assert layers_of_parameters == {
            f"{layer}/{kind}": layer
            for layer in ("dense/dense", "dense/deep/dense", "head/out")
            for kind in ("kernel", "bias")
        }
        w = {name: replay.weights(name, 0).astype(float) for name in replay.parameters}
        joined = np.concatenate([A, B], axis=1) @ w["dense/dense/kernel"] + w["dense/dense/bias"]
        deep = np.tanh(joined) @ w["dense/deep/dense/kernel"] + w["dense/deep/dense/bias"]
        out = np.concatenate([np.maximum(deep, 0), np.tanh(joined)], axis=1) @ w["head/out/kernel"] + w["head/out/bias"]
        wanted = {
            "dense/dense": (joined, np.tanh(joined)),
            "dense/deep/dense": (deep, np.maximum(deep, 0)),
            "dense/deep": (np.maximum(deep, 0),) * 2,
            "dense": (np.maximum(deep, 0),) * 2,
            "head/out": (out, 1 / (1 + np.exp(-out))),
            "head": (1 / (1 + np.exp(-out)),) * 2,
        }
        for name, (before, after) in wanted.items():
            np.testing.assert_allclose(replay.pre_activations(name, 0), before, **NEAR, err_msg=name)
            np.testing.assert_allclose(replay.activations(name, 0), after, **NEAR, err_msg=name)
        [predictions] = predicted(model, [A, B])
        np.testing.assert_allclose(replay.outputs(0), predictions, **NEAR)
        np.testing.assert_allclose(predicted(replay.model(0), [A, B])[0], predictions, **NEAR)
        assert replay._network.outputs == ("head",)
        assert replay._network.head("head").tap == Tap("head/out", "pre_activation")
        np.testing.assert_allclose(replay.class_probabilities().probabilities[0, :, 1], predictions[:, 0], **NEAR)

    def loss():
        return ops.mean(keras.losses.binary_crossentropy(LABELS[:, None], model([A, B], training=False)))

    assert_gradients(replay, model, loss)


def test_the_rest_of_a_network_from_within_a_model(tmp_path):
    replay = opened(nested(), tmp_path / "run", [A, B], LABELS)
    network, weights = replay._network, {name: replay.weights(name) for name in replay.parameters}
    for start in ("dense/join", "dense/dense", "all", "head/out", "head"):
        values = replay.activations(start, 0)
        [found] = network.forward(weights, values[::-1], [Tap("head")], start)
        np.testing.assert_allclose(found[0], replay.outputs(0)[::-1], **NEAR, err_msg=start)
    for start in ("dense/deep/dense", "dense/deep"):
        with pytest.raises(Unsupported, match=f"go round layer '{start}'"):
            network.forward(weights, replay.activations(start, 0), [Tap("head")], start)


def test_a_sequential_model_of_models_in_training(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.Sequential(
                [layers.Dense(4, name="d"), layers.BatchNormalization(name="n"), layers.ReLU(name="r")], name="body"
            ),
            layers.Dropout(0.3),
            keras.Sequential([layers.Dense(1, activation="sigmoid", name="d")], name="head"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    replay = trained(model, tmp_path / "run", A, LABELS)
    np.testing.assert_allclose(replay.outputs(2), model.predict(A, verbose=0), **NEAR)
    for name, wanted in zip(replay.parameters, model.get_weights(), strict=True):
        np.testing.assert_array_equal(replay.weights(name, 2), wanted)
    np.testing.assert_allclose(replay.pre_activations("body/r", 2), replay.activations("body/n", 2))
    assert replay.hyperparameters["body/d.kernel_initializer"] == "glorot_uniform"
    assert replay.hyperparameters["activation"] == "relu"


def test_a_model_within_that_was_compiled_for_itself(tmp_path):
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="code")], name="encoder")
    inner.compile("adam", twice_squared, metrics=[twice_squared])
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(1, name="last")(inner(inputs)))
    model.compile("sgd", "mse")
    replay = trained(model, tmp_path / "run", A, PRICES)
    for mine in (replay, netlapse.open(tmp_path / "run", model=model)):
        np.testing.assert_allclose(mine.activations("encoder/code", 2), inner.predict(A, verbose=0), **NEAR)
        np.testing.assert_allclose(mine.outputs(2), model.predict(A, verbose=0), **NEAR)


# Layers that are applied several times


def siamese(*, names=("shared", "last")):
    a, b = keras.Input((3,)), keras.Input((3,))
    shared = layers.Dense(3, activation="tanh", name=names[0])
    # The second is listed as it was applied, whatever the order in which the graph is gone through.
    first = shared(a)
    second = shared(shared(b))
    difference = layers.Subtract(name="difference")([second, first])
    model = keras.Model([a, b], layers.Dense(1, activation="sigmoid", name=names[1])(difference))
    model.compile("sgd", "binary_crossentropy")
    return model


OTHER = A[::-1].copy()


@pytest.mark.parametrize("by", ["config", "copy"])
def test_applications_of_a_shared_layer(by, tmp_path):
    model = siamese()
    replay = opened(model, tmp_path / "run", [A, OTHER], LABELS)
    if by == "copy":
        replay = netlapse.open(tmp_path / "run", model=siamese())
    assert sorted(layer.name for layer in replay.layers) == ["difference", "last", "shared@1", "shared@2", "shared@3"]
    assert replay.parameters == ("shared/kernel", "shared/bias", "last/kernel", "last/bias")
    assert {p.layer for p in replay.run.manifest.parameters} <= {layer.name for layer in replay.layers}
    w, c = (replay.weights(f"shared/{kind}", 0).astype(float) for kind in ("kernel", "bias"))
    z2 = OTHER @ w + c
    wanted = {"shared@1": A @ w + c, "shared@2": z2, "shared@3": np.tanh(z2) @ w + c}
    for name, z in wanted.items():
        np.testing.assert_allclose(replay.pre_activations(name, 0), z, **NEAR, err_msg=name)
        np.testing.assert_allclose(replay.activations(name, 0), np.tanh(z), **NEAR, err_msg=name)
    np.testing.assert_allclose(replay.outputs(0), model.predict([A, OTHER], verbose=0), **NEAR)

    def loss():
        return ops.mean(keras.losses.binary_crossentropy(LABELS[:, None], model([A, OTHER], training=False)))

    assert_gradients(replay, model, loss)
    with pytest.raises(Unsupported, match="go round layer 'shared@3'"):
        replay._network.forward({}, A, [Tap("last")], "shared@3")


def test_the_rest_of_a_network_from_an_application_on(tmp_path):
    inputs = keras.Input((3,))
    shared = layers.Dense(3, activation="tanh", name="shared")
    model = keras.Model(inputs, layers.Dense(1, name="last")(shared(layers.ReLU(name="bend")(shared(inputs)))))
    replay = opened(model, tmp_path / "run", A, PRICES)
    assert [layer.name for layer in replay.layers] == ["shared@1", "bend", "shared@2", "last"]
    weights = {name: replay.weights(name) for name in replay.parameters}
    for start in ("shared@1", "bend", "shared@2"):
        [found] = replay._network.forward(weights, replay.activations(start, 0)[::-1], [Tap("last")], start)
        np.testing.assert_allclose(found[0], replay.outputs(0)[::-1], **NEAR)


def test_applications_of_a_shared_model(tmp_path):
    twice = layers.Dense(3, activation="sigmoid", name="twice")
    entrance = keras.Input((3,))
    inner = keras.Model(entrance, twice(twice(entrance)), name="inner")
    a, b = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([a, b], layers.Dense(1, name="last")(layers.Concatenate(name="both")([inner(a), inner(b)])))
    model.compile("sgd", "mse")
    replay = opened(model, tmp_path / "run", [A, OTHER], PRICES)
    names = [f"inner@{i}{rest}" for i in (1, 2) for rest in ("/twice@1", "/twice@2", "")]
    assert [layer.name for layer in replay.layers] == [*names, "both", "last"]
    assert replay.parameters == ("inner/twice/kernel", "inner/twice/bias", "last/kernel", "last/bias")
    w, c = (replay.weights(f"inner/twice/{kind}", 0).astype(float) for kind in ("kernel", "bias"))
    for number, values in ((1, A), (2, OTHER)):
        z = values @ w + c
        again = (1 / (1 + np.exp(-z))) @ w + c
        np.testing.assert_allclose(replay.pre_activations(f"inner@{number}/twice@1", 0), z, **NEAR)
        np.testing.assert_allclose(replay.pre_activations(f"inner@{number}/twice@2", 0), again, **NEAR)
        np.testing.assert_allclose(replay.activations(f"inner@{number}", 0), 1 / (1 + np.exp(-again)), **NEAR)
    np.testing.assert_allclose(replay.outputs(0), model.predict([A, OTHER], verbose=0), **NEAR)
    assert_gradients(
        replay,
        model,
        lambda: ops.mean(keras.losses.mean_squared_error(PRICES[:, None], model([A, OTHER], training=False))),
    )


def test_names_that_look_like_applications(tmp_path):
    model = siamese(names=("twin", "twin@2"))
    replay = opened(model, tmp_path / "run", [A, OTHER], LABELS)
    assert sorted(layer.name for layer in replay.layers) == ["difference", "twin@1", "twin@2", "twin@2_", "twin@3"]
    np.testing.assert_allclose(replay.outputs(0), model.predict([A, OTHER], verbose=0), **NEAR)
    z = OTHER @ replay.weights("twin/kernel", 0)
    np.testing.assert_allclose(replay.pre_activations("twin@2", 0), z, **NEAR)


# The users' own


class Block(layers.Layer):
    """Layers within a layer."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units, activation="relu", name="inner")
        self.norm = layers.LayerNormalization(name="norm")

    def call(self, inputs):
        return self.norm(self.first(inputs)) + inputs

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def bend(values):
    return ops.tanh(values) * 2


def twice_squared(y_true, y_pred):
    return 2 * ops.mean(ops.square(y_true - y_pred), axis=-1)


def own_model():
    inputs = keras.Input((3,))
    values = layers.Dense(3, activation=bend, name="bent")(Block(3, name="block")(inputs))
    model = keras.Model(inputs, layers.Dense(1, name="price")(values))
    model.compile("sgd", twice_squared, metrics=[twice_squared])
    return model


@pytest.fixture
def registered():
    """Registers something for the length of a test."""
    objects = keras.saving.get_custom_objects()
    before = dict(objects)

    def register(*things):
        for thing in things:
            keras.saving.register_keras_serializable("own")(thing)

    yield register
    objects.clear()
    objects.update(before)
    for thing in (Block, bend, twice_squared, Written, Scaled):
        keras.src.saving.object_registration.GLOBAL_CUSTOM_NAMES.pop(thing, None)


@pytest.mark.parametrize("when", ["before", "since"])
def test_what_is_registered_is_rebuilt(when, registered, tmp_path):
    if when == "before":
        registered(Block, bend, twice_squared)
    model = own_model()
    replay = trained(model, tmp_path / "run", A, PRICES)
    if when == "since":
        with pytest.raises(Unsupported, match=r"it needs Block, .*register_keras_serializable.*open\(path, model="):
            replay.outputs()
        registered(Block)
        with pytest.raises(Unsupported, match="it needs bend, "):
            replay.outputs()
        registered(bend)
        replay = netlapse.open(tmp_path / "run")
        with pytest.raises(
            Unsupported, match=r"rebuild by itself \(twice_squared\); register it, or pass the compiled model"
        ):
            replay.losses()
        registered(twice_squared)
    replay = netlapse.open(tmp_path / "run")
    for mine in (replay, netlapse.open(tmp_path / "run", model=own_model())):
        np.testing.assert_allclose(mine.outputs(2), model.predict(A, verbose=0), **NEAR)
        block = keras.Model(model.inputs, model.get_layer("block").output)
        np.testing.assert_allclose(mine.activations("block", 2), block.predict(A, verbose=0), **NEAR)
        np.testing.assert_allclose(mine.activations("bent", 2), 2 * np.tanh(mine.pre_activations("bent", 2)), **NEAR)
        assert mine.losses(2).mean() == pytest.approx(model.evaluate(A, PRICES, verbose=0)[0], rel=1e-4)
        np.testing.assert_allclose(mine.model(2).predict(A, verbose=0), model.predict(A, verbose=0), **NEAR)
    assert {"block/inner/kernel", "block/norm/gamma"} <= set(replay.parameters)


def test_a_registered_name_of_keras_own_is_not_taken_for_the_users(registered, tmp_path):
    class Dense(layers.Dense):
        def call(self, inputs):
            raise AssertionError

    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, activation="relu")])
    replay = opened(model, tmp_path / "run", A, PRICES)
    registered(Dense)
    np.testing.assert_allclose(replay.outputs(0), model.predict(A, verbose=0), **NEAR)


# Models written as code


class Written(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(4, activation="tanh", name="hidden")
        self.drop = layers.Dropout(0.5, name="drop")
        self.out = layers.Dense(1, activation="sigmoid", name="out")

    def call(self, inputs, training=False):
        values = self.drop(self.hidden(inputs), training=training)
        return self.out(values + self.hidden(inputs * 0.5))


class Scaled(Written):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale = self.add_weight(name="scale", shape=(1,), initializer="ones")

    def call(self, inputs, training=False):
        return super().call(inputs * self.scale, training=training)


def test_a_model_that_is_written_as_code(tmp_path):
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(2)
        each = Written()
        each(A)
        each.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
        models.append(each)
    model, unrecorded = models
    replay = trained(model, tmp_path / "run", A, LABELS, state=True)
    keras.utils.set_random_seed(3)
    unrecorded.fit(A, LABELS, epochs=2, batch_size=8, verbose=0)
    for found, wanted in zip(model.get_weights(), unrecorded.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    # It is rebuilt without its class.
    assert [layer.name for layer in replay.layers] == ["hidden@1", "hidden@2", "drop", "out"]
    assert replay.parameters == ("hidden/kernel", "hidden/bias", "out/kernel", "out/bias")
    assert (replay.hyperparameters["optimizer"], replay.hyperparameters["loss"]) == ("Adam", "binary_crossentropy")
    for mine in (replay, netlapse.open(tmp_path / "run", model=model)):
        np.testing.assert_allclose(mine.outputs(2), model.predict(A, verbose=0), **NEAR)
        assert mine.losses(2).mean() == pytest.approx(model.evaluate(A, LABELS, verbose=0)[0], rel=1e-5)
        np.testing.assert_allclose(mine.model(2).predict(A, verbose=0), model.predict(A, verbose=0), **NEAR)
        w, c = (mine.weights(f"hidden/{kind}", 2).astype(float) for kind in ("kernel", "bias"))
        np.testing.assert_allclose(
            mine.activations("out", 2).shape and mine.pre_activations("hidden@2", 2), 0.5 * A @ w + c, **NEAR
        )

    def loss():
        return ops.mean(keras.losses.binary_crossentropy(LABELS[:, None], model(A, training=False)))

    assert_gradients(replay, model, loss, 2)
    other = Written()
    other(A)
    other.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    restore(other, tmp_path / "run", epoch=2)
    for found, wanted in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_model_whose_weights_its_layers_do_not_show(registered, tmp_path):
    model = Scaled(name="scaled")
    model(A)
    model.compile("sgd", "binary_crossentropy")
    replay = opened(model, tmp_path / "run", A, LABELS)
    assert [layer.name for layer in replay.layers] == ["scaled"]
    assert set(replay.parameters) >= {"scaled/scale", "scaled/hidden/kernel"}
    with pytest.raises(Unsupported, match="it needs Scaled"):
        replay.outputs()
    registered(Scaled)
    for replay in (netlapse.open(tmp_path / "run"), netlapse.open(tmp_path / "run", model=model)):
        np.testing.assert_allclose(replay.outputs(0), model.predict(A, verbose=0), **NEAR)
        assert replay.losses(0).mean() == pytest.approx(model.evaluate(A, LABELS, verbose=0), rel=1e-5)
        assert np.abs(replay.gradients(0)["scaled/scale"]).max() > 0
        np.testing.assert_allclose(replay.model(0).predict(A, verbose=0), model.predict(A, verbose=0), **NEAR)


def test_a_model_within_a_functional_one_that_is_written_as_code(registered, tmp_path):
    registered(Written)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(1, name="last")(Written(name="written")(inputs)))
    model.compile("sgd", "mse")
    replay = trained(model, tmp_path / "run", A, PRICES)
    assert [layer.name for layer in replay.layers] == ["written", "last"]
    np.testing.assert_allclose(replay.outputs(2), model.predict(A, verbose=0), **NEAR)


# Layers of several outputs


def test_layers_of_several_outputs(tmp_path):
    inputs = keras.Input((5, 3))
    whole, hidden, cell = layers.LSTM(4, return_sequences=True, return_state=True, name="memory")(inputs)
    both = layers.Bidirectional(layers.GRU(2, name="g"), name="both")(whole)
    model = keras.Model(
        inputs, [layers.Dense(1, name="last")(layers.Concatenate(name="c")([both, hidden])), cell, whole]
    )
    model.compile("sgd", ["mse", None, None])
    steps = RNG.normal(size=(8, 5, 3)).astype(np.float32)
    replay = opened(model, tmp_path / "run", steps, [PRICES[:8]])
    assert list(replay.outputs(0)) == ["last", "memory:2", "memory"]
    for found, wanted in zip(replay.outputs(0).values(), predicted(model, steps), strict=True):
        np.testing.assert_allclose(found, wanted, **NEAR)
    every = keras.Model(model.inputs, [whole, both])
    for name, wanted in zip(("memory", "both"), predicted(every, steps), strict=True):
        np.testing.assert_allclose(replay.activations(name, 0), wanted, **NEAR)
    assert replay.losses(0) == pytest.approx((predicted(model, steps)[0][:, 0] - PRICES[:8]) ** 2, rel=1e-4)
    with pytest.raises(UnknownName):
        replay.activations("memory:2")


class Merged(keras.Model):
    """Takes a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = layers.Dense(1, name="out")

    def call(self, inputs):
        return {"worth": self.out(ops.concatenate([inputs["b"], inputs["a"]], axis=-1))}


def test_a_model_that_is_built_when_it_is_trained(tmp_path):
    inputs, targets = {"a": A, "b": B}, {"worth": PRICES}
    model = Merged()
    model.compile("sgd", {"worth": "mse"})
    replay = trained(model, tmp_path / "run", inputs, targets)
    wanted = model.predict(inputs, verbose=0)["worth"]
    for mine in (replay, netlapse.open(tmp_path / "run", model=model)):
        np.testing.assert_allclose(mine.outputs(2), wanted, **NEAR)
        np.testing.assert_allclose(mine.losses(2), (wanted[:, 0] - PRICES) ** 2, rtol=1e-4)
        np.testing.assert_allclose(mine.model(2).predict(inputs, verbose=0)["worth"], wanted, **NEAR)


class Stepping(keras.Model):
    """A functional model that has a training step of its own."""

    def train_step(self, *args, **kwargs):
        return super().train_step(*args, **kwargs)


def test_a_class_around_a_functional_model_is_not_needed(tmp_path):
    inputs = keras.Input((3,))
    model = Stepping(inputs, layers.Dense(1, name="price")(inputs))
    model.compile(keras.optimizers.Adam(0.1), "mse", metrics=["mae"])
    replay = trained(model, tmp_path / "run", A, PRICES)
    assert replay.hyperparameters["optimizer"] == "Adam"
    for mine in (replay, netlapse.open(tmp_path / "run", model=model)):
        np.testing.assert_allclose(mine.outputs(2), model.predict(A, verbose=0), **NEAR)
        assert mine.losses(2).mean() == pytest.approx(model.evaluate(A, PRICES, verbose=0)[0], rel=1e-5)


def test_more_inputs_than_digits(tmp_path):
    widths = [1 + place % 3 for place in range(12)]
    ends = [keras.Input((width,)) for width in widths]
    model = keras.Model(ends, layers.Dense(1, name="last")(layers.Concatenate(name="all")(ends)))
    model.compile("sgd", "mse")
    arrays = [RNG.normal(size=(6, width)).astype(np.float32) for width in widths]
    replay = opened(model, tmp_path / "run", arrays, PRICES[:6])
    np.testing.assert_allclose(replay.outputs(0), model.predict(arrays, verbose=0), **NEAR)
    np.testing.assert_allclose(replay.activations("all", 0), np.concatenate(arrays, axis=1), **NEAR)


def test_targets_of_different_sizes_in_any_order(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [layers.Dense(3, name="place")(inputs), layers.Dense(1, name="price")(inputs)])
    model.compile("sgd", "mse")
    replay = opened(model, tmp_path / "run", A, [A, PRICES])
    for targets in ([A, PRICES], {"price": PRICES, "place": A}, {"place": A, "price": PRICES}):
        np.testing.assert_allclose(replay.losses(0, A, targets), replay.losses(0), **NEAR)
    with pytest.raises(BadProbe, match="targets have shape"):
        replay.losses(0, A, [A, A])

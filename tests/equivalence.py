"""One small network and training, written plainly in NumPy (float64), and the same in every framework.

A door trains a `Task` with its own recorder, and says what its framework itself computes with given weights. Weights
are lists of kernels (input, unit) and biases, layer by layer, whatever the framework calls and how it turns them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np

from netlapse import datasets
from netlapse.record import Description, Loop, Probe, Recording
from netlapse.replay import Replay
from netlapse.replay.network import Head, Tap
from netlapse.store import Layer, Parameter, Run

BATCH = 20
EPOCHS = 4
EVERY = "5 steps"


@dataclass(frozen=True)
class Task:
    """A network of dense layers that learns a data set by plain SGD, batches in the order of the examples."""

    name: str
    data: datasets.DataSet = field(repr=False)
    units: tuple[int, ...]
    activation: str
    rate: float

    @property
    def binary(self):
        return self.units[-1] == 1

    @property
    def layers(self):
        return [*(f"hidden_{place}" for place in range(1, len(self.units) - 1)), "output"]

    @property
    def steps_per_epoch(self):
        return len(self.data.inputs) // BATCH

    @property
    def labels(self):
        return self.data.targets.astype(int)

    @property
    def initial(self):
        generator = np.random.default_rng(4)
        shapes = [shape for a, b in zip(self.units, self.units[1:], strict=False) for shape in ((a, b), (b,))]
        return [generator.normal(size=shape, scale=shape[0] ** -0.5).astype(np.float32) for shape in shapes]

    def batches(self):
        """Inputs and labels of every step of the training."""
        for step in range(EPOCHS * self.steps_per_epoch):
            rows = slice(BATCH * (step % self.steps_per_epoch), BATCH * (step % self.steps_per_epoch + 1))
            yield self.data.inputs[rows], self.labels[rows]


TASKS = {
    "parabolas": Task("parabolas", datasets.parabolas(200), (2, 2, 1), "tanh", 0.5),
    "spirals": Task("spirals", datasets.spirals(180, classes=3, noise=0.02), (2, 16, 16, 3), "relu", 0.1),
}


def in_pairs(weights):
    return list(zip(weights[::2], weights[1::2], strict=True))


# NumPy, as plain as it goes


def forward(task, weights, inputs):
    """Pre-activation and activation of each layer; those of the last are logits and probabilities."""
    found, values = [], np.asarray(inputs, np.float64)
    for place, (kernel, bias) in enumerate(in_pairs(weights), start=1):
        z = values @ np.asarray(kernel, np.float64) + np.asarray(bias, np.float64)
        if place < len(weights) // 2:
            values = np.tanh(z) if task.activation == "tanh" else np.maximum(z, 0)
        elif task.binary:
            values = 1 / (1 + np.exp(-z))
        else:
            values = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
        found.append((z, values))
    return found


def losses(task, weights, inputs, labels):
    """Cross-entropy of each example."""
    probabilities = forward(task, weights, inputs)[-1][1]
    labels = np.asarray(labels).astype(int)
    if task.binary:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    return -np.log(probabilities[np.arange(len(labels)), labels])


def layer_gradients(task, weights, inputs, labels):
    """Of each example's loss by the pre-activations of each layer, (example, unit)."""
    passed, labels = forward(task, weights, inputs), np.asarray(labels).astype(int).reshape(-1)
    found = [passed[-1][1] - (labels[:, None] if task.binary else np.eye(task.units[-1])[labels])]
    for place in reversed(range(1, len(passed))):
        values = passed[place - 1][1]
        slope = (1 - values**2) if task.activation == "tanh" else values > 0
        found.insert(0, found[0] @ np.asarray(weights[2 * place], np.float64).T * slope)
    return found


def gradients(task, weights, inputs, labels):
    """Of the mean loss by each kernel and bias."""
    before = [np.asarray(inputs, np.float64), *(values for _, values in forward(task, weights, inputs)[:-1])]
    deltas = [delta / len(labels) for delta in layer_gradients(task, weights, inputs, labels)]
    pairs = [(values.T @ delta, delta.sum(axis=0)) for values, delta in zip(before, deltas, strict=True)]
    return [array for pair in pairs for array in pair]


class PlainNetwork:
    """The same as a `Network`, one frame after the other."""

    outputs = ("output",)

    def __init__(self, task):
        self.task, self.input_shapes = task, {"": task.units[:1]}

    def head(self, output):
        return Head(Tap("output", "pre_activation"), "sigmoid" if self.task.binary else "softmax")

    def targets_of(self, targets):
        return [targets]

    def values_per_example(self, inputs):
        return 4 * sum(self.task.units[1:])

    def _frames(self, weights, function):
        return [function(list(frame)) for frame in zip(*(weights[name] for name in weights), strict=True)]

    def forward(self, weights, inputs, taps, start=None):
        skipped = self.task.layers.index(start) + 1 if start else 0
        layers = self.task.layers[skipped:]

        def one(frame):
            passed = dict(zip(layers, forward(self.task, frame[2 * skipped :], inputs), strict=True))
            return [passed[tap.layer][tap.moment == "activation"] for tap in taps]

        return [np.stack(values) for values in zip(*self._frames(weights, one), strict=True)]

    def losses(self, weights, inputs, targets):
        return np.stack(self._frames(weights, lambda frame: losses(self.task, frame, inputs, targets)))

    def gradients(self, weights, inputs, targets):
        frames = self._frames(weights, lambda frame: gradients(self.task, frame, inputs, targets))
        return {name: np.stack(values) for name, values in zip(weights, zip(*frames, strict=True), strict=True)}

    def layer_gradients(self, weights, inputs, targets, layers):
        frames = self._frames(weights, lambda frame: layer_gradients(self.task, frame, inputs, targets))
        by_layer = dict(zip(self.task.layers, zip(*frames, strict=True), strict=True))
        return [np.stack(by_layer[layer]) for layer in layers]


def names_of(task, kernel="kernel", bias="bias", separator="/"):
    return [f"{layer}{separator}{what}" for layer in task.layers for what in (kernel, bias)]


def plain_replay(task, path):
    """The training in NumPy, recorded."""
    weights = [array.astype(np.float64) for array in task.initial]
    names = names_of(task)
    description = Description(
        "numpy", "numpy", {}, {"loss": "binary_crossentropy" if task.binary else "crossentropy"},
        tuple(Layer(name, "Dense", units) for name, units in zip(task.layers, task.units[1:], strict=True)),
        tuple(Parameter(n, w.shape, "float64", True, n.split("/")[0]) for n, w in zip(names, weights, strict=True)),
        {}, {},
    )  # fmt: skip
    loop = Loop(Recording(path, probe=Probe.of(task.data, "probe"), every=EVERY), steps_per_epoch=task.steps_per_epoch)
    loop.begin(lambda: description, lambda: dict(zip(names, weights, strict=True)))
    for inputs, labels in task.batches():
        loss = losses(task, weights, inputs, labels).mean()
        for array, gradient in zip(weights, gradients(task, weights, inputs, labels), strict=True):
            array -= task.rate * gradient
        loop.step(lambda: dict(zip(names, weights, strict=True)), {"loss": loss})
    loop.end(lambda: dict(zip(names, weights, strict=True)))
    return Replay(Run(path), lambda manifest, read: PlainNetwork(task))


# The same in every framework


class Keras:
    parameters = staticmethod(names_of)
    gives_logits = turned = False

    @staticmethod
    def build(task, weights):
        import keras

        *hidden, last = zip(task.units[1:], task.layers, strict=True)
        model = keras.Sequential(
            [
                keras.Input(task.units[:1]),
                *(keras.layers.Dense(units, activation=task.activation, name=name) for units, name in hidden),
                keras.layers.Dense(last[0], activation="sigmoid" if task.binary else "softmax", name=last[1]),
            ]
        )
        model.set_weights(weights)
        loss = "binary_crossentropy" if task.binary else "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.SGD(task.rate), loss=loss)
        return model

    @classmethod
    def train(cls, task, path):
        from netlapse.keras import Recorder

        recorder = Recorder(path, probe=tuple(task.data), every=EVERY)
        cls.build(task, task.initial).fit(
            *task.data, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[recorder]
        )

    @classmethod
    def own(cls, task, weights, inputs, labels):
        import keras

        model = cls.build(task, weights)
        loss = keras.losses.get(model.loss)

        def example_losses(outputs):
            return loss(keras.ops.reshape(labels, (-1, 1)), outputs)

        outputs = model(inputs)
        if keras.backend.backend() == "jax":
            import jax

            def mean_loss(values):
                return example_losses(model.stateless_call(values, [], inputs)[0]).mean()

            found = jax.grad(mean_loss)([variable.value for variable in model.trainable_variables])
        else:
            example_losses(outputs).mean().backward()
            found = [variable.value.grad for variable in model.trainable_variables]
        return [keras.ops.convert_to_numpy(array) for array in (outputs, example_losses(outputs), *found)]


class Sklearn:
    parameters = staticmethod(lambda task: names_of(task, "coefs", "intercepts"))
    gives_logits = turned = False

    @staticmethod
    def build(task, weights):
        from sklearn.neural_network import MLPClassifier

        estimator = MLPClassifier(
            task.units[1:-1], task.activation, solver="sgd", alpha=0, batch_size=BATCH, learning_rate_init=task.rate,
            max_iter=EPOCHS, shuffle=False, momentum=0, n_iter_no_change=EPOCHS, warm_start=True,
        )  # fmt: skip
        estimator.partial_fit(task.data.inputs, task.labels, classes=np.unique(task.labels))
        for place, (kernel, bias) in enumerate(in_pairs(weights)):
            estimator.coefs_[place], estimator.intercepts_[place] = kernel.copy(), bias.copy()
        return estimator

    @classmethod
    def train(cls, task, path):
        from netlapse.sklearn import record

        with warnings.catch_warnings(action="ignore"):  # that it has not converged
            record(cls.build(task, task.initial), task.data.inputs, task.labels, path, every=EVERY)

    @classmethod
    def own(cls, task, weights, inputs, labels):
        from sklearn.metrics import log_loss

        estimator = cls.build(task, weights)
        outputs = estimator.predict_proba(inputs)
        exact = outputs / outputs.sum(axis=1, keepdims=True, dtype=float)  # log_loss insists
        wanted = np.eye(outputs.shape[1])[labels]
        example_losses = [log_loss([y], [p]) for y, p in zip(wanted, exact, strict=True)]
        empty = [np.empty_like(array) for array in weights]
        _, kernels, biases = estimator._backprop(
            inputs, labels[:, None] if task.binary else wanted, None, [inputs] + [None] * (len(weights) // 2),
            [None] * (len(weights) // 2), empty[::2], empty[1::2],
        )  # fmt: skip
        found = [array for pair in zip(kernels, biases, strict=True) for array in pair]
        return [outputs[:, 1:] if task.binary else outputs, np.array(example_losses), *found]


class Torch:
    parameters = staticmethod(lambda task: names_of(task, "weight", "bias", "."))
    gives_logits = turned = True

    @staticmethod
    def build(task, weights):
        import torch

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                for name, kernel, bias in zip(task.layers, weights[::2], weights[1::2], strict=True):
                    linear = torch.nn.Linear(*kernel.shape)
                    linear.weight.data, linear.bias.data = torch.tensor(kernel.T), torch.tensor(bias)
                    setattr(self, name, linear)

            def forward(self, values):
                for name in task.layers[:-1]:
                    values = getattr(torch, task.activation)(getattr(self, name)(values))
                return self.output(values)

        return Net()

    @staticmethod
    def loss_of(task, **how):
        import torch

        return torch.nn.BCEWithLogitsLoss(**how) if task.binary else torch.nn.CrossEntropyLoss(**how)

    @staticmethod
    def tensors(task, inputs, labels):
        import torch

        labels = torch.tensor(labels)
        return torch.tensor(inputs), labels[:, None].float() if task.binary else labels

    @classmethod
    def train(cls, task, path):
        import torch

        from netlapse.torch import Recorder

        model, criterion = cls.build(task, task.initial), cls.loss_of(task)
        optimizer = torch.optim.SGD(model.parameters(), task.rate)
        with Recorder(
            path, model, probe=cls.tensors(task, task.data.inputs, task.labels), optimizer=optimizer, loss=criterion,
            every=EVERY, steps_per_epoch=task.steps_per_epoch,
        ) as recorder:  # fmt: skip
            for batch in task.batches():
                inputs, targets = cls.tensors(task, *batch)
                optimizer.zero_grad()
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                recorder.step(loss=loss)

    @classmethod
    def own(cls, task, weights, inputs, labels):
        model = cls.build(task, weights)
        inputs, targets = cls.tensors(task, inputs, labels)
        outputs = model(inputs)
        example_losses = cls.loss_of(task, reduction="none")(outputs, targets)
        example_losses.mean().backward()
        found = [p.grad.T if p.ndim == 2 else p.grad for p in model.parameters()]
        return [array.detach().numpy() for array in (outputs, example_losses.reshape(-1), *found)]


class Lightning(Torch):
    @classmethod
    def train(cls, task, path):
        import lightning
        import torch

        from netlapse.lightning import Recorder

        class Module(type(cls.build(task, task.initial)), lightning.LightningModule):
            def training_step(self, batch, _):
                return criterion(self(batch[0]), batch[1])

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), task.rate)

        model, criterion = Module(), cls.loss_of(task)
        probe = cls.tensors(task, task.data.inputs, task.labels)
        recorder = Recorder(path, probe=probe, loss=criterion, every=EVERY)
        batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*probe), batch_size=BATCH)
        silent = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        lightning.Trainer(
            max_epochs=EPOCHS, accelerator="cpu", enable_checkpointing=False, callbacks=[recorder], **silent
        ).fit(model, batches)


class Jax:
    parameters = staticmethod(names_of)
    layers_of = staticmethod(lambda params: params)
    gives_logits, turned = True, False

    @staticmethod
    def apply_of(task):
        import jax

        activation = getattr(jax.nn, task.activation)

        def apply(params, values):
            for name in task.layers[:-1]:
                values = activation(values @ params[name]["kernel"] + params[name]["bias"])
            return values @ params["output"]["kernel"] + params["output"]["bias"]

        return apply

    @staticmethod
    def params_of(task, weights):
        import jax.numpy as jnp

        return {
            name: {"kernel": jnp.array(kernel), "bias": jnp.array(bias)}
            for name, (kernel, bias) in zip(task.layers, in_pairs(weights), strict=True)
        }

    @staticmethod
    def loss_of(task):
        import optax

        return optax.sigmoid_binary_cross_entropy if task.binary else optax.softmax_cross_entropy_with_integer_labels

    @classmethod
    def mean_loss_of(cls, task):
        apply, loss = cls.apply_of(task), cls.loss_of(task)
        return lambda params, inputs, labels: loss(apply(params, inputs), cls.targets(task, labels)).mean()

    @staticmethod
    def targets(task, labels):
        return labels[:, None].astype(np.float32) if task.binary else labels

    @classmethod
    def train(cls, task, path):
        import jax

        from netlapse.jax import Recorder

        params = cls.params_of(task, task.initial)
        learn = jax.jit(jax.value_and_grad(cls.mean_loss_of(task)))
        with Recorder(
            path, cls.apply_of(task), params, probe=(task.data.inputs, cls.targets(task, task.labels)),
            loss=cls.loss_of(task), every=EVERY, steps_per_epoch=task.steps_per_epoch,
        ) as recorder:  # fmt: skip
            for batch in task.batches():
                loss, found = learn(params, *batch)
                params = jax.tree.map(lambda array, gradient: array - task.rate * gradient, params, found)
                recorder.step(params, loss=loss)

    @classmethod
    def own(cls, task, weights, inputs, labels):
        import jax

        params = cls.params_of(task, weights)
        outputs = cls.apply_of(task)(params, inputs)
        example_losses = cls.loss_of(task)(outputs, cls.targets(task, labels)).reshape(-1)
        found = jax.grad(cls.mean_loss_of(task))(params, inputs, labels)
        layers = cls.layers_of(found)
        found = [layers[name][what] for name in task.layers for what in ("kernel", "bias")]
        return [np.asarray(array) for array in (outputs, example_losses, *found)]


class Flax(Jax):
    layers_of = staticmethod(lambda params: params["params"])

    @staticmethod
    def apply_of(task):
        import flax.linen as nn

        class Net(nn.Module):
            @nn.compact
            def __call__(self, values):
                for units, name in zip(task.units[1:-1], task.layers, strict=False):
                    values = getattr(nn, task.activation)(nn.Dense(units, name=name)(values))
                return nn.Dense(task.units[-1], name="output")(values)

        return Net().apply

    @classmethod
    def params_of(cls, task, weights):
        return {"params": Jax.params_of(task, weights)}


DOORS = {"keras": Keras, "torch": Torch, "lightning": Lightning, "sklearn": Sklearn, "jax": Jax, "flax": Flax}

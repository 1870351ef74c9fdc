"""Replays of torch networks, against torch's own forward, autograd and losses."""
# ruff: noqa: E402

from __future__ import annotations

import json
import threading
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

import netlapse
from netlapse.errors import BadProbe, UnknownName, Unsupported
from netlapse.record import Description, Probe, Recording
from netlapse.replay.network import Head, Tap
from netlapse.store import Parameter
from netlapse.torch.arrays import array_of
from netlapse.torch.describe import network_files
from netlapse.torch.quiet import weights_of

F = nn.functional
FRAMES = 3


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def record(path, model, inputs, targets, *, loss=None, forward=None, edit=None):
    """A run of three frames, the weights of which are drawn anew. Returns the weights of each frame."""
    probe = Probe.of((inputs, targets), "probe")
    found = network_files(model, probe.inputs, probe.targets, loss=loss, forward=forward)
    files = edit(found.files) if edit else found.files
    weights = weights_of(model)
    parameters = tuple(
        Parameter(n, tuple(t.shape), str(t.dtype).removeprefix("torch."), t.requires_grad, n.rpartition(".")[0])
        for n, t in weights.items()
    )
    recording = Recording(path, probe=probe)
    recording.begin(lambda: Description("torch", "cpu", {}, {}, found.layers, parameters, found.model, files))
    frames = []
    for epoch in range(FRAMES):
        with torch.no_grad():
            for name, tensor in weights.items():
                if tensor.is_floating_point():
                    # Variances are positive.
                    tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name else 0.7 * torch.randn_like(tensor))
        frames.append({name: tensor.detach().clone() for name, tensor in weights.items()})
        recording.frame(epoch, epoch, lambda: {name: array_of(tensor) for name, tensor in weights.items()}, {})
    recording.end(lambda: {name: array_of(tensor) for name, tensor in weights.items()}, {})
    return frames


def load(model, weights):
    with torch.no_grad():
        for name, tensor in weights_of(model).items():
            tensor.copy_(weights[name])
    return model.eval()


def close(found, wanted, tolerance=1e-5):
    wanted = wanted.detach().numpy() if isinstance(wanted, torch.Tensor) else wanted
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def assert_equals_torch(replay, model, frames, apply, loss):
    """Outputs, losses and gradients of every frame are torch's own."""
    outputs, losses, gradients = replay.outputs(), replay.losses(), replay.gradients()
    for number, weights in enumerate(frames):
        load(model, weights).zero_grad()
        expected = apply(model)
        close(outputs[number], expected)
        values = loss(expected)
        close(losses[number], values)
        values.nanmean().backward()
        trainable = {name: t for name, t in weights_of(model).items() if t.requires_grad}
        assert gradients.keys() == trainable.keys()
        for name, tensor in trainable.items():
            close(gradients[name][number], tensor.grad, 1e-4)


def tensor(array):
    return torch.as_tensor(array, dtype=torch.float32)


RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(12, 2))
LABELS = (POINTS[:, 0] > 0).astype(int)


class ByModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 2)
        self.act = nn.Tanh()
        self.output = nn.Linear(2, 1)

    def forward(self, x):
        return self.output(self.act(self.hidden(x)))


class ByFunction(ByModule):
    def forward(self, x):
        return torch.sigmoid(self.output(F.relu(self.hidden(x))))


class ByMethod(ByModule):
    def forward(self, x):
        return self.output(self.hidden(x).tanh_()).sigmoid()


class Unapplied(ByModule):
    """The sum, not what the layer returned, goes into the function."""

    def forward(self, x):
        return self.output(torch.tanh(self.hidden(x) + x))


class InPlaceFirst(ByModule):
    def forward(self, x):
        h = self.hidden(x)
        h += 1
        return self.output(torch.tanh(h))


def test_an_activation_module_has_what_it_is_given(tmp_path):
    model = ByModule()
    frames = record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCEWithLogitsLoss())
    replay = netlapse.open(tmp_path / "run")
    assert [(layer.name, layer.type, layer.units, layer.activation) for layer in replay.layers] == [
        ("hidden", "Linear", 2, None),
        ("act", "Tanh", 2, "tanh"),
        ("output", "Linear", 1, None),
    ]
    x = tensor(POINTS)
    for number, weights in enumerate(frames):
        load(model, weights)
        before = model.hidden(x)
        close(replay.activations("hidden")[number], before)
        close(replay.pre_activations("act")[number], before)
        close(replay.activations("act")[number], before.tanh())
    assert replay._network.outputs == ("output",)
    assert replay._network.head("output") == Head(Tap("output"), "sigmoid")
    y = tensor(LABELS)[:, None]
    assert_equals_torch(
        replay,
        model,
        frames,
        lambda m: m(x),
        lambda out: F.binary_cross_entropy_with_logits(out, y, reduction="none")[:, 0],
    )


@pytest.mark.parametrize(("kind", "function"), [(ByFunction, torch.relu), (ByMethod, torch.tanh)])
def test_an_activation_function_makes_the_activation_of_the_layer_before_it(tmp_path, kind, function):
    model = kind()
    frames = record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCELoss())
    replay = netlapse.open(tmp_path / "run")
    assert [layer.activation for layer in replay.layers] == [function.__name__, "sigmoid"]
    x = tensor(POINTS)
    for number, weights in enumerate(frames):
        load(model, weights)
        before = model.hidden(x)
        logits = model.output(function(before))
        close(replay.pre_activations("hidden")[number], before)
        close(replay.activations("hidden")[number], function(before))
        close(replay.pre_activations("output")[number], logits)
        close(replay.activations("output")[number], logits.sigmoid())
    y = tensor(LABELS)[:, None]
    assert replay._network.head("output") == Head(Tap("output", "pre_activation"), "sigmoid")
    assert_equals_torch(
        replay, model, frames, lambda m: m(x), lambda out: F.binary_cross_entropy(out, y, reduction="none")[:, 0]
    )
    # Measures go from a layer on to the output.
    space = replay.feature_space("hidden", 1)
    assert space.epochs.tolist() == [1]
    close(replay.metric("accuracy"), [((replay.outputs(e)[:, 0] > 0.5) == LABELS).mean() for e in range(FRAMES)])


@pytest.mark.parametrize("kind", [Unapplied, InPlaceFirst])
def test_a_function_of_something_else_is_not_a_layers_activation(tmp_path, kind):
    model = kind()
    frames = record(tmp_path / "run", model, POINTS, LABELS)
    replay = netlapse.open(tmp_path / "run")
    assert [layer.activation for layer in replay.layers] == [None, None]
    load(model, frames[0])
    # What works in place does not reach what was returned.
    close(replay.activations("hidden", 0), model.hidden(tensor(POINTS)))
    close(replay.outputs(0), model(tensor(POINTS)))
    with pytest.raises(Unsupported, match="holds no loss"):
        replay.losses()


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


def test_what_happens_within_another_module_is_not_a_layers_activation():
    found = network_files(nn.Sequential(nn.Linear(2, 2), Swish(), nn.Linear(2, 1)), POINTS, LABELS)
    assert [(layer.type, layer.activation) for layer in found.layers] == [
        ("Linear", None),
        ("Swish", None),
        ("Linear", None),
    ]


def test_a_sigmoid_at_the_end_has_logits_before_it(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1), nn.Sigmoid()).double()
    frames = record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCELoss())
    replay = netlapse.open(tmp_path / "run")
    assert replay._network.outputs == ("3",)
    assert replay._network.head("3") == Head(Tap("3", "pre_activation"), "sigmoid")
    x = torch.as_tensor(POINTS)
    y = torch.as_tensor(LABELS, dtype=torch.float64)[:, None]
    assert_equals_torch(
        replay, model, frames, lambda m: m(x), lambda out: F.binary_cross_entropy(out, y, reduction="none")[:, 0]
    )
    close(replay.class_probabilities(1).probabilities[0, :, 1], replay.outputs(1)[:, 0])


def test_half_precision(tmp_path):
    model = ByModule().bfloat16()
    frames = record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCEWithLogitsLoss())
    outputs = netlapse.open(tmp_path / "run").outputs()
    assert outputs.dtype == np.float32
    for number, weights in enumerate(frames):
        close(outputs[number], load(model, weights)(tensor(POINTS).bfloat16()).float(), 0.02)


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.5)
        )
        self.head = nn.Linear(36, 3)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


IMAGES = RNG.normal(size=(6, 1, 8, 8))
DIGITS = np.arange(6) % 3


def test_convolutions(tmp_path):
    model = Convolutional()
    frames = record(tmp_path / "run", model, IMAGES, DIGITS, loss=nn.CrossEntropyLoss(label_smoothing=0.1))
    replay = netlapse.open(tmp_path / "run")
    assert [(layer.name, layer.units) for layer in replay.layers] == [
        ("features.0", 4),
        ("features.1", 4),
        ("features.2", None),
        ("features.3", None),
        ("features.4", None),
        ("head", 3),
    ]
    assert "features.1.running_mean" in replay.parameters
    x, y = tensor(IMAGES), torch.as_tensor(DIGITS)
    load(model, frames[1])
    normal = model.features[1](model.features[0](x))
    # Not overwritten by the ReLU after it.
    close(replay.activations("features.1", 1), normal)
    close(replay.pre_activations("features.2", 1), normal)
    close(replay.activations("features.2", 1), normal.relu())
    assert_equals_torch(
        replay,
        model,
        frames,
        lambda m: m(x),
        lambda out: F.cross_entropy(out, y, reduction="none", label_smoothing=0.1),
    )
    assert replay.metric("accuracy").shape == (FRAMES,)
    with pytest.raises(UnknownName, match="pass a function"):
        replay.metric("f1")
    # The layer's activations decide all that comes after it.
    [values] = replay._evaluate(
        [netlapse.replay.network.Tap("head")], np.array([1]), replay.activations("features.3", 1), "features.3"
    )
    close(values[0], replay.outputs(1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = ByModule()
        self.last = nn.Linear(1, 1)

    def forward(self, x):
        return self.last(self.block(x) + x[:, :1])


def test_what_goes_round_a_layer(tmp_path):
    model = Residual()
    record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCEWithLogitsLoss())
    for replay in (netlapse.open(tmp_path / "run"), netlapse.open(tmp_path / "run", model=Residual())):
        assert [layer.name for layer in replay.layers][-2:] == ["block", "last"]
        close(replay.activations("block"), replay.activations("block.output"))
        space = replay.feature_space("block.hidden")
        assert space.plane_logits is None
        assert space.lines is not None


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.decoder = nn.Linear(4, 7, bias=False)
        self.decoder.weight = self.embedding.weight

    def forward(self, x):
        return self.decoder(self.embedding(x))


TOKENS = RNG.integers(0, 7, (5, 6))
NEXT = np.roll(TOKENS, -1, axis=1)


def token_loss(out, y, ignored=-100):
    values = F.cross_entropy(out.movedim(-1, 1), y, reduction="none", ignore_index=ignored)
    counted = y != ignored
    return (values * counted).sum(1) / counted.sum(1)


def test_tied_weights(tmp_path):
    model = Tied()
    frames = record(tmp_path / "run", model, TOKENS, NEXT, loss=nn.CrossEntropyLoss())
    replay = netlapse.open(tmp_path / "run")
    assert replay.parameters == ("embedding.weight",)
    x, y = torch.as_tensor(TOKENS), torch.as_tensor(NEXT)
    assert_equals_torch(replay, model, frames, lambda m: m(x), lambda out: token_loss(out, y))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(2, 2)
        self.out = nn.Linear(2, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.cell(torch.tanh(self.cell(x)))))


def test_a_layer_that_is_applied_twice(tmp_path):
    model = Shared()
    frames = record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCEWithLogitsLoss())
    replay = netlapse.open(tmp_path / "run")
    assert [layer.name for layer in replay.layers] == ["cell@1", "cell@2", "out"]
    load(model, frames[2])
    once = torch.tanh(model.cell(tensor(POINTS)))
    close(replay.activations("cell@1", 2), once)
    close(replay.pre_activations("cell@2", 2), model.cell(once))
    assert replay.feature_space("cell@1", 2).epochs.tolist() == [2]


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        self.head = nn.Linear(8, 7)
        self.register_buffer("places", torch.randn(6, 8), persistent=False)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.head(self.encoder(self.embedding(x) + self.places[: x.shape[1]], mask))


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(ignore_index=0), lambda out, y: torch.where(y == 0, torch.nan, _tokens(out, y))]
)
def test_tokens(tmp_path, loss):
    model = Transformer()
    frames = record(tmp_path / "run", model, TOKENS, NEXT, loss=loss)
    replay = netlapse.open(tmp_path / "run")
    assert "encoder.layers.1.linear1" in [layer.name for layer in replay.layers]
    x, y = torch.as_tensor(TOKENS), torch.as_tensor(NEXT)
    assert_equals_torch(replay, model, frames, lambda m: m(x), lambda out: token_loss(out, y, 0))
    tokens = replay.token_losses(1)
    assert tokens.shape == TOKENS.shape
    np.testing.assert_array_equal(np.isnan(tokens), NEXT == 0)
    close(np.nanmean(tokens, axis=1), replay.losses(1))


def _tokens(out, y):
    return F.cross_entropy(out.transpose(1, 2), y, reduction="none")


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(2, 3), nn.Linear(4, 3)

    def forward(self, left, right):
        both = torch.tanh(self.left(left)) * self.right(right)
        return {"left": both, "rest": (both.sum(-1), self.right(right))}


@pytest.mark.parametrize("named", [True, False])
def test_several_inputs_and_outputs(tmp_path, named):
    model = Several()
    left, right = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 4))
    inputs = {"right": right, "left": left} if named else [left, right]
    frames = record(
        tmp_path / "run", model, inputs, np.zeros(5), loss=lambda out, y: (out["left"].sum(1) - out.rest[0] + y) ** 2
    )
    replay = netlapse.open(tmp_path / "run")
    load(model, frames[0])
    wanted = model(tensor(left), tensor(right))
    found = replay.outputs(0)
    # "left" is a layer already.
    assert list(found) == ["outputs.left", "rest.0", "rest.1"]
    close(found["outputs.left"], wanted["left"])
    close(found["rest.0"], wanted["rest"][0])
    close(replay.activations("left", 0), torch.tanh(model.left(tensor(left))))
    close(replay.losses(0), np.zeros(5))
    assert replay.outputs(0, inputs if named else [left[:2], right[:2]])["rest.0"].shape in ((5,), (2,))


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: torch.Tensor | None = None


class OfBatch(ByModule):
    def forward(self, batch):
        return Answer(super().forward(batch["x"]))


def test_a_module_that_is_called_otherwise(tmp_path):
    model = OfBatch()
    frames = record(
        tmp_path / "run",
        model,
        POINTS,
        LABELS,
        loss=lambda out, y: F.binary_cross_entropy_with_logits(out.logits[:, 0], y.float(), reduction="none"),
        forward=lambda module, x: module({"x": x}),
    )
    replay = netlapse.open(tmp_path / "run")
    assert [layer.name for layer in replay.layers] == ["hidden", "act", "output"]
    x, y = tensor(POINTS), tensor(LABELS)
    assert_equals_torch(
        replay,
        model,
        frames,
        lambda m: m({"x": x}).logits,
        lambda out: F.binary_cross_entropy_with_logits(out[:, 0], y, reduction="none"),
    )
    assert replay._network.head("output").link == "sigmoid"


class Steered(ByModule):
    """What is done depends on the numbers: torch.export refuses it."""

    def forward(self, x):
        h = torch.tanh(self.hidden(x))
        if h.sum() > 100:
            h = -h
        return self.output(h)


def test_a_module_that_cannot_be_exported_is_passed(tmp_path):
    model = Steered()
    frames = record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCEWithLogitsLoss())
    with pytest.raises(
        Unsupported, match=r"run 'run' does not hold its network \(.+\); pass it: netlapse.open\(path, mod"
    ):
        netlapse.open(tmp_path / "run").outputs()
    passed = Steered()
    before = {name: tensor.clone() for name, tensor in passed.state_dict().items()}
    replay = netlapse.open(tmp_path / "run", model=passed)
    x, y = tensor(POINTS), tensor(LABELS)[:, None]
    assert_equals_torch(
        replay,
        model,
        frames,
        lambda m: m(x),
        lambda out: F.binary_cross_entropy_with_logits(out, y, reduction="none")[:, 0],
    )
    load(model, frames[0])
    close(replay.pre_activations("hidden", 0), model.hidden(x))
    close(replay.activations("hidden", 0), torch.tanh(model.hidden(x)))
    from_hidden = replay._network.forward(
        {name: t.numpy()[None] for name, t in frames[0].items()},
        replay.activations("hidden", 0),
        [netlapse.replay.network.Tap("output")],
        start="hidden",
    )
    close(from_hidden[0][0], replay.outputs(0))
    own = replay.model(0)
    assert isinstance(own, Steered)
    close(own(x).detach(), replay.outputs(0))
    assert all(torch.equal(before[name], tensor) for name, tensor in passed.state_dict().items())
    # As it was wrapped for training.
    close(netlapse.open(tmp_path / "run", model=nn.DataParallel(passed)).outputs(), replay.outputs())
    assert not passed._forward_hooks
    assert passed.training


def test_another_module_does_not_fit(tmp_path):
    record(tmp_path / "run", Steered(), POINTS, LABELS)
    with pytest.raises(
        Unsupported, match=r"recorded from another model: its weights are hidden\.weight float32 \(2, 2\)"
    ):
        netlapse.open(tmp_path / "run", model=Shared()).outputs()
    with pytest.raises(Unsupported, match="model= is a function"):
        netlapse.open(tmp_path / "run", model=record).outputs()


def test_the_models_of_a_run(tmp_path):
    model = Convolutional()
    frames = record(tmp_path / "run", model, IMAGES, DIGITS)
    x = tensor(IMAGES)
    wanted = load(model, frames[1])(x)
    stored = netlapse.open(tmp_path / "run").model(1)
    close(stored(x).detach(), wanted)
    assert dict(stored.named_parameters()).keys() == dict(model.named_parameters()).keys()
    assert stored.state_dict().keys() == model.state_dict().keys()
    own = netlapse.open(tmp_path / "run", model=Convolutional()).model(1)
    assert isinstance(own, Convolutional)
    close(own(x).detach(), wanted)


def test_frames_at_once_are_frames_one_by_one(tmp_path):
    class Recurrent(nn.Module):
        """torch has no rule to vectorise its recurrent layers."""

        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(2, 3, batch_first=True)
            self.head = nn.Linear(3, 1)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    inputs = RNG.normal(size=(5, 4, 2))
    model = Recurrent()
    frames = record(tmp_path / "run", model, inputs, LABELS[:5], loss=nn.MSELoss())
    replay = netlapse.open(tmp_path / "run")
    y = tensor(LABELS[:5])[:, None]
    assert_equals_torch(
        replay, model, frames, lambda m: m(tensor(inputs)), lambda out: F.mse_loss(out, y, reduction="none")[:, 0]
    )
    for make, data in ((Convolutional, (IMAGES, DIGITS)), (Transformer, (TOKENS, NEXT))):
        path = tmp_path / make.__name__
        record(path, make(), *data, loss=nn.CrossEntropyLoss())
        replay = netlapse.open(path)
        outputs = np.stack([replay.outputs(epoch) for epoch in range(FRAMES)])
        # Sums are rounded in another order: of logits that nearly cancel, by a share of what is added up.
        np.testing.assert_allclose(replay.outputs(), outputs, rtol=1e-6, atol=1e-6 * np.abs(outputs).max())
        for name, values in replay.gradients().items():
            close(values, np.stack([replay.gradients(epoch)[name] for epoch in range(FRAMES)]))


def test_outputs_that_are_no_numbers_have_no_loss(tmp_path):
    model = ByFunction()
    record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCELoss())
    inputs = POINTS.astype(np.float32)
    inputs[3] = np.nan
    replay = netlapse.open(tmp_path / "run")
    losses = replay.losses(inputs=inputs, targets=LABELS)
    assert np.isnan(losses[:, 3]).all()
    assert np.isfinite(np.delete(losses, 3, axis=1)).all()
    assert all(np.isnan(part).all() for part in replay.gradients(inputs=inputs, targets=LABELS).values())


# The loss


def test_another_loss_can_be_given(tmp_path):
    model = ByModule()
    frames = record(tmp_path / "run", model, POINTS, LABELS, loss=nn.BCEWithLogitsLoss())
    replay = netlapse.open(tmp_path / "run", loss=F.mse_loss)
    assert_equals_torch(
        replay, model, frames, lambda m: m(tensor(POINTS)), lambda out: (out[:, 0] - tensor(LABELS)) ** 2
    )
    assert replay._network.head("output").link == "identity"
    with pytest.raises(Unsupported, match="one number for a whole batch"):
        netlapse.open(tmp_path / "run", loss=lambda out, y: out.mean()).losses()
    with pytest.raises(Unsupported, match="has one number for each example"):
        netlapse.open(tmp_path / "run", loss=lambda out, y: out[:, 0]).token_losses()


def test_a_loss_that_cannot_be_stored_is_asked_for(tmp_path):
    def steered(out, y):
        return (out[:, 0] - y) ** 2 if float(out.sum()) < 1e6 else out[:, 0]

    record(tmp_path / "run", ByModule(), POINTS, LABELS, loss=steered)
    with pytest.raises(Unsupported, match=r"holds no loss \(.+\); pass one: netlapse.open\(path, loss="):
        netlapse.open(tmp_path / "run").losses()
    assert netlapse.open(tmp_path / "run").outputs().shape == (FRAMES, 12, 1)
    assert netlapse.open(tmp_path / "run", loss=steered).losses().shape == (FRAMES, 12)


@pytest.mark.parametrize("loss", [lambda out, y: out.mean(), lambda out, y: 1.0, lambda out, y: out.flatten()[:1]])
def test_a_loss_of_a_batch_is_refused(loss):
    with pytest.raises(BadProbe, match="one that gives a number for each example"):
        network_files(ByModule(), POINTS, LABELS, loss=loss)


def test_a_loss_that_does_not_take_the_targets():
    with pytest.raises(
        BadProbe, match=r"loss cannot be evaluated on the first examples of the probe: .*Target \d+ is out"
    ):
        network_files(Convolutional(), IMAGES, DIGITS + 9, loss=nn.CrossEntropyLoss())


# Describing


def test_describing_leaves_no_trace():
    model = Convolutional().train()
    calls = []
    model.head.register_forward_hook(lambda *_: calls.append(1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steered = Steered()
    state = torch.get_rng_state()
    network_files(model, IMAGES, DIGITS, loss=nn.CrossEntropyLoss())
    network_files(steered, POINTS, LABELS)
    assert torch.equal(state, torch.get_rng_state())
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [len(module._forward_hooks) for module in (model.head, model.features[0])] == [1, 0]
    assert not calls
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_module_that_cannot_be_copied_is_described_without_its_network():
    model = ByModule()
    model.lock = threading.Lock()
    found = network_files(model, POINTS, LABELS)
    assert found.layers == ()
    assert "cannot be copied, TypeError: cannot pickle '_thread.lock' object" in found.reason


def test_hooks_that_compute_weights_are_kept(tmp_path):
    with warnings.catch_warnings(action="ignore"):  # there is a newer way
        model = nn.Sequential(
            nn.utils.weight_norm(nn.Linear(2, 3)), nn.utils.parametrizations.weight_norm(nn.Linear(3, 1))
        )
    frames = record(tmp_path / "run", model, POINTS, LABELS)
    replay = netlapse.open(tmp_path / "run")
    assert "0.weight_g" in replay.parameters
    for number, weights in enumerate(frames):
        close(replay.outputs(number), load(model, weights)(tensor(POINTS)).detach())


def test_a_probe_that_does_not_fit():
    with pytest.raises(
        BadProbe, match=r"cannot be evaluated on the first examples of the probe, \(2, 3\) .*mat1 and mat2"
    ):
        network_files(ByModule(), RNG.normal(size=(4, 3)), LABELS[:4])
    with pytest.raises(BadProbe, match="must have the same dtype, but got Long and Float"):
        network_files(ByModule(), POINTS.astype(int), LABELS)
    with pytest.raises(BadProbe, match="missing 1 required positional argument: 'right'"):
        network_files(Several(), POINTS, LABELS)


def test_one_example_is_enough(tmp_path):
    record(tmp_path / "run", ByModule(), POINTS[:1], LABELS[:1], loss=nn.BCEWithLogitsLoss())
    assert netlapse.open(tmp_path / "run").losses().shape == (FRAMES, 1)


def test_a_network_that_mixes_examples_is_not_stored():
    class Mixing(ByModule):
        def forward(self, x):
            return super().forward(x) @ super().forward(x).T

    found = network_files(Mixing(), POINTS, LABELS)
    assert "depends on how many" in found.reason
    assert found.model == {"inputs": "inputs.json", "reason": "reason.txt"}


# Programs from strangers


def hostile(change):
    def edit(files):
        content = json.loads(files["program.json"])
        changed = change(content)
        return {**files, "program.json": json.dumps(content if changed is None else changed).encode()}

    return edit


def op(name, *args, **kwargs):
    def change(content):
        content["nodes"][0] = {"op": name, "args": list(args), "kwargs": kwargs}

    return change


def chain(content):
    """Each operation doubles a vector."""
    x = {"input": ""}
    content["nodes"] = [{"op": "aten.cat.default", "args": [[x, x], 1]}]
    for number in range(40):
        content["nodes"].append({"op": "aten.cat.default", "args": [[{"node": number}, {"node": number}], 1]})
    for tap in content["layers"] + content["outputs"]:
        tap["before"] = tap["after"] = {"node": 40}


def nest(content):
    value = 1
    for _ in range(500):
        value = [value]
    content["nodes"][0]["args"] = [value]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (op("aten.from_file.default", "/etc/passwd", False, 10), "needs the operation aten.from_file"),
        (op("aten.relu_.default", {"input": ""}), "needs the operation aten.relu_"),
        (op("aten.linear.out", {"input": ""}), "needs the operation"),
        (op("aten.randn.default", [2, 2]), "needs the operation"),
        (op("aten.__class__.default"), "is no operation"),
        (op("os.system.default", "true"), "is no operation"),
        (op("aten.full.default", [2**20, 2**20], 1.0), "too large"),
        (op("aten.full.default", [{"batch": 2**31}, 2], 1.0), "too large"),
        (op("aten.full.default", [2**70], 1.0), "no count"),
        (op("aten.zeros.default", [2, 2], device="cuda"), "where values lie"),
        (op("aten.matmul.default", {"input": ""}, {"weight": "absent"}), "not recorded: absent"),
        (op("aten.matmul.default", {"input": ""}, {"weight": "output.weight"}), "must have same reduction dim"),
        (op("aten.relu.default", {"node": 0}), "does not come before"),
        (op("aten.relu.default", {"node": 2}), "does not come before"),
        (op("aten.relu.default", {"node": -1}), "does not come before"),
        (op("aten.relu.default", {"system": "x"}), "is no value"),
        (op("aten.relu.default", {"dtype": "load"}), "no dtype"),
        (chain, "too large"),
        (nest, "nested too deeply"),
        (lambda content: [], ""),
        (lambda content: {"nodes": {}}, ""),
        (lambda content: content.pop("outputs") and None, ""),
    ],
)
def test_hostile_programs_are_refused(tmp_path, change, why):
    record(tmp_path / "run", ByModule(), POINTS, LABELS, edit=hostile(change))
    with pytest.raises(Unsupported, match=rf"holds a network that cannot be replayed \((?s:.*)({why})"):
        netlapse.open(tmp_path / "run").outputs()
    # The user's own is not the stranger's.
    assert netlapse.open(tmp_path / "run").weights("hidden.weight").shape == (FRAMES, 2, 2)

"""The same trainings in every framework: runs, replays, measures and figures are the same.

Each is compared with NumPy in float64 (see `equivalence`), and each replay with what its framework itself computes.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

import netlapse
from netlapse.figures.shapes import Dots

from . import equivalence
from .equivalence import DOORS, TASKS

# Lightning's own, and about data that one process loads.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*`isinstance.treespec, LeafSpec.` is deprecated"),
]
both_tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
every_door = pytest.mark.parametrize("door", DOORS)


@pytest.fixture(scope="module")
def replay_of(tmp_path_factory):
    """The replay of a task trained in a framework, or in NumPy; trained once."""
    made = {}

    def replay_of(door, task):
        if (door, task.name) not in made:
            path = tmp_path_factory.mktemp(door) / task.name
            if door == "numpy":
                made[door, task.name] = equivalence.plain_replay(task, path)
            else:
                pytest.importorskip(door)
                DOORS[door].train(task, path)
                made[door, task.name] = netlapse.open(path)
        return made[door, task.name]

    return replay_of


def weights_of(replay, door, task, epoch=None):
    return in_order({name: replay.weights(name, epoch) for name in replay.parameters}, door, task)


def in_order(by_name, door, task):
    """Kernels (..., input, unit) and biases, layer by layer."""
    found = [by_name[name] for name in DOORS[door].parameters(task)]
    assert len(by_name) == len(found)
    return [np.swapaxes(array, -1, -2) if DOORS[door].turned and not place % 2 else array
            for place, array in enumerate(found)]  # fmt: skip


def probabilities_of(outputs, door, task):
    if not DOORS[door].gives_logits:
        return outputs
    outputs = outputs.astype(np.float64)
    raised = np.exp(outputs)
    return raised / (1 + raised) if task.binary else raised / raised.sum(axis=-1, keepdims=True)


def agree(found, wanted, tolerance=1e-5):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@both_tasks
@every_door
def test_frames_and_clocks_are_the_same(door, task, replay_of):
    replay, plain = replay_of(door, task), replay_of("numpy", task)
    np.testing.assert_array_equal(replay.steps, plain.steps)
    np.testing.assert_allclose(replay.epochs, plain.epochs, rtol=1e-15)
    assert len(replay.steps) > 8
    assert replay.run.status == "complete"
    plain_weights = [plain.weights(name) for name in plain.parameters]
    for found, wanted in zip(weights_of(replay, door, task), plain_weights, strict=True):
        assert found.dtype == np.float32
        agree(found, wanted, 3e-6)
        assert np.abs(found[-1] - found[0]).max() > 0.01
    agree(replay.recorded("loss")[1:], plain.recorded("loss")[1:], 3e-6)


@both_tasks
@every_door
def test_replays_are_the_same(door, task, replay_of):
    replay, plain = replay_of(door, task), replay_of("numpy", task)
    agree(probabilities_of(replay.outputs(), door, task), plain.outputs())
    agree(replay.losses(), plain.losses())
    for layer in task.layers:
        agree(replay.pre_activations(layer), plain.pre_activations(layer))
        if layer != "output":
            agree(replay.activations(layer), plain.activations(layer))
    plain_gradients = plain.gradients()
    found = in_order(replay.gradients(), door, task)
    for gradient, wanted in zip(found, plain_gradients.values(), strict=True):
        agree(gradient, wanted)
    agree(replay.metric("accuracy"), (plain_classes(plain, task) == task.labels).mean(axis=1))


def plain_classes(plain, task):
    outputs = plain.outputs()
    return (outputs[..., 0] > 0.5) if task.binary else outputs.argmax(axis=-1)


@both_tasks
@every_door
def test_a_replay_is_what_the_framework_computes(door, task, replay_of):
    replay = replay_of(door, task)
    inputs = np.random.default_rng(5).normal(size=(30, task.units[0])).astype(np.float32)
    labels = np.arange(30) % max(2, task.units[-1])
    targets = labels.astype(replay.targets().dtype).reshape(-1, *replay.targets().shape[1:])
    for epoch in (0, replay.epochs[1], equivalence.EPOCHS):
        weights = weights_of(replay, door, task, epoch)
        outputs, losses, *gradients = DOORS[door].own(task, weights, inputs, labels)
        agree(probabilities_of(outputs, door, task), equivalence.forward(task, weights, inputs)[-1][1])
        agree(losses, equivalence.losses(task, weights, inputs, labels))
        agree(replay.outputs(epoch, inputs), outputs)
        agree(replay.losses(epoch, inputs, targets), losses)
        replayed = in_order(replay.gradients(epoch, inputs, targets), door, task)
        plain = equivalence.gradients(task, weights, inputs, labels)
        for found, wanted, plainly in zip(replayed, gradients, plain, strict=True):
            agree(found, wanted)
            agree(found, plainly)


def numbers(measure):
    """All numbers and texts of a measure, those within its parts too."""
    found = {}
    for entry in fields(measure):
        value = getattr(measure, entry.name)
        found |= (
            {f"{entry.name}.{k}": v for k, v in numbers(value).items()} if is_dataclass(value) else {entry.name: value}
        )
    return found


@every_door
def test_measures_are_the_same(door, replay_of):
    task = TASKS["parabolas"]
    replay, plain = replay_of(door, task), replay_of("numpy", task)
    for measured in (
        lambda replay: replay.feature_space("hidden_1"),
        lambda replay: replay.decision_boundary(),
        lambda replay: replay.class_probabilities(),
        lambda replay: replay.sample_losses(),
        lambda replay: replay.curves(),
    ):
        found, wanted = numbers(measured(replay)), numbers(measured(plain))
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            if isinstance(value, str | tuple) and all(isinstance(part, str) for part in value):
                assert found[name] == (replay.loss_name if name.startswith("loss") else value)
            elif value is None:
                assert found[name] is None
            else:
                agree(np.asarray(found[name], float), np.asarray(value, float))
    assert replay.milestones() == plain.milestones()


def drawn(figure):
    """What a figure shows: the data of its lines, dots and patches, and its texts."""
    FigureCanvasAgg(figure).draw()
    data, texts = [], []
    for ax in figure.axes:
        for artist in ax.findobj():
            if isinstance(artist, Dots):
                data.append(artist.positions)
            elif isinstance(artist, Line2D):
                data.append(artist.get_xydata())
            elif isinstance(artist, Patch):
                data.append(artist.get_path().vertices)
            elif isinstance(artist, Text):
                texts.append(artist.get_text())
    return data, texts


@every_door
def test_figures_are_the_same(door, replay_of):
    task = TASKS["parabolas"]
    replay, plain = replay_of(door, task), replay_of("numpy", task)
    for draw in (
        lambda replay: netlapse.plot(replay, epoch=3),
        lambda replay: netlapse.compare([replay_of("numpy", task), replay], epoch=3),
    ):
        (found, found_texts), (wanted, wanted_texts) = drawn(draw(replay)), drawn(draw(plain))
        assert found_texts == wanted_texts
        assert len(found) == len(wanted) > 100
        for ours, theirs in zip(found, wanted, strict=True):
            agree(ours, theirs)

"""Recording a PyTorch loop: every frame against what the loop itself saw, and the training as if nobody had looked."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from functools import partial
from unittest import mock

import numpy as np
import pytest

import netlapse
from netlapse.datasets import parabolas
from netlapse.errors import BadProbe, RunError, Unsupported
from netlapse.store import Run

torch = pytest.importorskip("torch")
nn = torch.nn

from netlapse.torch import Recorder, capture  # noqa: E402
from netlapse.torch.hyperparameters import loss_name, training_settings  # noqa: E402

INPUTS, TARGETS = map(torch.as_tensor, parabolas(48))
INPUTS, TARGETS = INPUTS.float(), TARGETS.float().reshape(-1, 1)
PROBE = INPUTS, TARGETS
CRITERION = nn.BCEWithLogitsLoss()
BATCHES = list(zip(INPUTS.split(16), TARGETS.split(16), strict=True))


class Net(nn.Module):
    """Random numbers, statistics, a frozen layer, tied weights, a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.3)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.frozen.weight
        self.out = nn.Linear(4, 1)
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)
        self.register_buffer("shift", torch.tensor(0.5))

    def forward(self, inputs):
        hidden = self.drop(self.norm(torch.tanh(self.hidden(inputs))))
        return self.out(torch.relu(self.tied(self.frozen(hidden)))) * self.scale + self.shift


def made(kind=Net, seed=3, **optimizer):
    torch.manual_seed(seed)
    model = kind()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return model, torch.optim.SGD(trained, **{"lr": 0.1, "momentum": 0.9, **optimizer})


def small():
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))


def step_of(model, optimizer, inputs, targets, criterion=CRITERION):
    loss = criterion(model(inputs), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


def train(model, optimizer, epochs=2, recorder=None, seen=lambda: None):
    """The loop of a user. `seen` is called where a step is done."""
    for epoch in range(epochs):
        for inputs, targets in BATCHES:
            loss = step_of(model, optimizer, inputs, targets)
            if recorder is not None:
                recorder.step(loss=loss)
            seen()
        if recorder is not None:
            recorder.epoch(val_loss=float(epoch))


def state_of(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_frames(run, states):
    """The run's frames are these states, bit by bit."""
    assert len(run) == len(states)
    for parameter in run.manifest.parameters:
        wanted = np.stack([state[parameter.name].float().numpy() for state in states])
        np.testing.assert_array_equal(run.weights(parameter.name).astype(wanted.dtype), wanted, err_msg=parameter.name)
    assert run.verify() == []


def test_every_frame_is_what_the_loop_saw(tmp_path):
    model, optimizer = made()
    states = [state_of(model)]
    with Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer, loss=CRITERION, every="step") as recorder:
        train(model, optimizer, recorder=recorder, seen=lambda: states.append(state_of(model)))
    run = Run(tmp_path / "run")
    assert_frames(run, states)
    assert run.status == "complete"
    assert (run.manifest.framework, run.manifest.backend) == ("torch", "cpu")
    np.testing.assert_allclose(run.epochs, [0, 1 / 2, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    np.testing.assert_array_equal(run.scalar("val_loss"), [np.nan] * 3 + [0] + [np.nan] * 2 + [1])


def test_what_a_module_has_is_named(tmp_path):
    model, _ = made()
    capture(model, tmp_path / "run", PROBE)
    found = {p.name: (p.layer, p.trainable, p.dtype, p.shape) for p in Run(tmp_path / "run").manifest.parameters}
    assert found == {
        "shift": ("", False, "float32", ()),
        "hidden.weight": ("hidden", True, "float32", (4, 2)),
        "hidden.bias": ("hidden", True, "float32", (4,)),
        "norm.weight": ("norm", True, "float32", (4,)),
        "norm.bias": ("norm", True, "float32", (4,)),
        "norm.running_mean": ("norm", False, "float32", (4,)),
        "norm.running_var": ("norm", False, "float32", (4,)),
        "norm.num_batches_tracked": ("norm", False, "int64", ()),
        "frozen.weight": ("frozen", False, "float32", (4, 4)),  # once, though it is the weight of `tied` as well
        "frozen.bias": ("frozen", False, "float32", (4,)),
        "tied.bias": ("tied", True, "float32", (4,)),
        "out.weight": ("out", True, "float32", (1, 4)),
        "out.bias": ("out", True, "float32", (1,)),
    }


@pytest.mark.parametrize("every", ["step", "epoch"])
def test_nothing_changes_in_the_training(tmp_path, every):
    alone, optimizer = made()
    train(alone, optimizer)
    after = torch.get_rng_state()
    model, optimizer = made()
    model.norm.eval()  # a mode of its own
    model.norm.train()
    modes = {name: module.training for name, module in model.named_modules()}
    with Recorder(
        tmp_path / "run", model, probe=PROBE, optimizer=optimizer, loss=CRITERION, every=every, validation=PROBE
    ) as recorder:
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        assert {name: module.training for name, module in model.named_modules()} == modes
        assert all(parameter.grad is None for parameter in model.parameters())
        train(model, optimizer, recorder=recorder)
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    assert torch.equal(after, torch.get_rng_state())
    assert not optimizer._optimizer_step_post_hooks
    assert {name: module.training for name, module in model.named_modules()} == modes


def test_the_optimizer_alone_is_enough(tmp_path):
    model, optimizer = made(small)
    states = [state_of(model)]
    recorder = Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer, steps_per_epoch=3)
    for _ in range(2):
        for inputs, targets in BATCHES:
            step_of(model, optimizer, inputs, targets)
        states.append(state_of(model))
    recorder.close()
    recorder.close()  # twice does nothing
    step_of(model, optimizer, *BATCHES[0])
    recorder.step(loss=1.0)
    run = Run(tmp_path / "run")
    assert_frames(run, states)
    assert (run.steps.tolist(), run.epochs.tolist(), run.manifest.schedule) == ([0, 3, 6], [0, 1, 2], "epoch")


def test_without_an_optimizer_each_call_is_a_step(tmp_path):
    model, optimizer = made(small)
    with Recorder(tmp_path / "run", model, probe=PROBE, every="step") as recorder:
        train(model, optimizer, epochs=1, recorder=recorder)
    run = Run(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3]
    assert "learning_rate" not in run.scalars


def test_losses_are_means_and_learning_rates_those_that_led_there(tmp_path):
    model, optimizer = made(small)
    second = torch.optim.Adam([{"params": [model[0].bias]}, {"params": [model[2].bias], "lr": 0.5}], lr=0.01)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    losses, rates = [], []
    with Recorder(tmp_path / "run", model, probe=PROBE, optimizer=[optimizer, second], every="step") as recorder:
        for inputs, targets in BATCHES:
            loss = CRITERION(model(inputs), targets)
            loss.backward()
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            second.step()  # counted by the first alone
            optimizer.zero_grad()
            recorder.step(loss=loss)
            losses.append(loss.item())
            scheduler.step()
        recorder.epoch()
    run = Run(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(run.scalar("loss")[1:], np.cumsum(losses) / [1, 2, 3], rtol=1e-12)
    np.testing.assert_allclose(run.scalar("learning_rate"), [0.1, *rates])
    np.testing.assert_allclose(run.scalar("learning_rate/1"), [0.01] * 4)
    np.testing.assert_allclose(run.scalar("learning_rate/2"), [0.5] * 4)


def test_a_learning_rate_that_is_changed_in_place(tmp_path):
    model, _ = made(small)
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.5), foreach=False)
    with Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer) as recorder:
        for _ in range(2):
            step_of(model, optimizer, *BATCHES[0])
            optimizer.param_groups[0]["lr"].mul_(0.5)
            recorder.epoch()
    assert Run(tmp_path / "run").scalar("learning_rate").tolist() == [0.5, 0.5, 0.25]


def test_accumulated_gradients(tmp_path):
    model, optimizer = made(small)
    losses, states = [], [state_of(model)]
    with Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer, every="step") as recorder:
        for number, (inputs, targets) in enumerate([*BATCHES, BATCHES[0]]):
            loss = CRITERION(model(inputs), targets) / 2
            loss.backward()
            if number % 2:
                optimizer.step()
                optimizer.zero_grad()
                states.append(state_of(model))
            recorder.step(loss=loss)
            losses.append(loss.item())
        recorder.epoch()
    run = Run(tmp_path / "run")
    assert_frames(run, states)
    np.testing.assert_allclose(run.scalar("loss"), [np.nan, np.mean(losses[:2]), np.mean(losses)])


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step:UserWarning")
def test_steps_that_a_grad_scaler_leaves_out_are_none(tmp_path):
    model, optimizer = made(small)
    scaler = torch.amp.GradScaler("cpu")
    states = [state_of(model)]
    with Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer, every="step") as recorder:
        for number, (inputs, targets) in enumerate(BATCHES):
            with torch.autocast("cpu", torch.bfloat16):
                loss = CRITERION(model(inputs), targets)
            scaler.scale(loss * (torch.inf if number == 1 else 1)).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            recorder.step(loss=loss)
            if number != 1:
                states.append(state_of(model))
        recorder.epoch()
    run = Run(tmp_path / "run")
    assert_frames(run, states)
    assert {parameter.dtype for parameter in run.manifest.parameters} == {"float32"}


def test_a_bfloat16_model(tmp_path):
    model, optimizer = made(small)
    model.bfloat16()
    states = [state_of(model)]
    with Recorder(tmp_path / "run", model, probe=(PROBE[0].bfloat16(), PROBE[1]), every="step") as recorder:
        for inputs, targets in BATCHES:
            step_of(model, optimizer, inputs.bfloat16(), targets, lambda o, t: CRITERION(o.float(), t))
            recorder.step()
            states.append(state_of(model))
        recorder.epoch()
    run = Run(tmp_path / "run")
    assert_frames(run, states)
    assert {parameter.dtype for parameter in run.manifest.parameters} == {"bfloat16"}
    assert run.manifest.hyperparameters["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    "wrap",
    [
        partial(torch.compile, backend="eager"),
        nn.DataParallel,
        lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
        lambda model: torch.compile(nn.DataParallel(model), backend="eager"),
    ],
    ids=["compiled", "parallel", "parallel of compiled", "compiled parallel"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore:.*DataParallel")
def test_what_is_put_around_a_module_does_not_show(tmp_path, wrap):
    model, optimizer = made(small)
    wrapped, states = wrap(model), [state_of(model)]
    with Recorder(
        tmp_path / "run", wrapped, probe=PROBE, optimizer=optimizer, loss=CRITERION, every="step"
    ) as recorder:
        train(wrapped, optimizer, 1, recorder, lambda: states.append(state_of(model)))
    assert_frames(Run(tmp_path / "run"), states)


def test_parameters_may_be_exchanged(tmp_path):
    model, _ = made(small)
    states = [state_of(model)]
    with Recorder(tmp_path / "run", model, probe=PROBE) as recorder:
        model[0].weight = nn.Parameter(torch.ones(3, 2))  # another object
        states.append(state_of(model))
        recorder.epoch()
        model.to("meta")
        model.to_empty(device="cpu")
        model.load_state_dict(states[0])
        states.append(states[0])
        recorder.epoch()
    assert_frames(Run(tmp_path / "run"), states)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda model: model.append(nn.Linear(1, 1)), "3.weight was added, 3.bias was added"),
        (lambda model: setattr(model[0], "bias", None), "0.bias was removed"),
        (
            lambda model: setattr(model[2], "weight", nn.Parameter(torch.zeros(2, 3))),
            r"2.weight was float32 \(1, 3\) and is float32 \(2, 3\)",
        ),
        (lambda model: model[2].double(), r"2.weight was float32 \(1, 3\) and is float64 \(1, 3\), 2.bias"),
    ],
)
@pytest.mark.parametrize("by_hook", [True, False])
def test_a_network_that_changes(tmp_path, change, told, by_hook):
    model, optimizer = made(small)
    recorder = Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer if by_hook else None)
    states = [state_of(model)]
    step_of(model, optimizer, *BATCHES[0])
    states += [] if by_hook else [state_of(model)]
    recorder.step()
    states += [state_of(model)] if by_hook else []
    change(model)
    with pytest.raises(RunError, match=f"the network of run 'run' has changed: {told}.*record the changed .* new path"):
        optimizer.step() if by_hook else recorder.step()
    optimizer.step()
    recorder.step(loss=1)
    recorder.epoch()
    recorder.close()
    run = Run(tmp_path / "run")
    assert_frames(run, states)
    assert run.status == "interrupted"
    assert not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, GeneratorExit])
def test_an_error_in_the_training_interrupts_the_run(tmp_path, error):
    model, optimizer = made(small)
    with (  # noqa: PT012
        pytest.raises(error),
        Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer, every="step") as recorder,
    ):
        step_of(model, optimizer, *BATCHES[0])
        recorder.step(loss=1)
        raise error
    run = Run(tmp_path / "run")
    assert (run.status, run.steps.tolist()) == ("interrupted", [0, 1])
    assert not optimizer._optimizer_step_post_hooks


def test_a_run_that_was_told_of_no_epochs(tmp_path):
    model, optimizer = made(small)
    with (
        pytest.warns(UserWarning, match=r"run 'run' was told of no epoch.*call recorder.epoch\(\)") as caught,
        Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer),
    ):
        step_of(model, optimizer, *BATCHES[0])
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings(action="error"):
        Recorder(tmp_path / "none", model, probe=PROBE).close()


def test_a_run_is_resumed_from_a_checkpoint(tmp_path):
    model, optimizer = made(small)
    with Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer, steps_per_epoch=3):
        train(model, optimizer, 1)
        checkpoint = state_of(model)
        train(model, optimizer, 2)
    model.load_state_dict(checkpoint)
    with Recorder(
        tmp_path / "run",
        model,
        probe=PROBE,
        optimizer=optimizer,
        steps_per_epoch=3,
        exist="resume",
        initial_epoch=1,
    ):
        train(model, optimizer, 1)
    run = Run(tmp_path / "run")
    assert (run.steps.tolist(), run.epochs.tolist(), run.superseded) == ([0, 3, 6], [0, 1, 2], 3)
    np.testing.assert_array_equal(run.weights("0.weight")[1], checkpoint["0.weight"])
    np.testing.assert_array_equal(run.weights("0.weight")[2], model[0].weight.detach())
    with pytest.raises(RunError, match="another network"):
        Recorder(tmp_path / "run", made(Net)[0], probe=PROBE, exist="resume")


@pytest.mark.parametrize(
    ("steps_per_epoch", "every", "schedule"),
    [(None, None, "log"), (10, None, "epoch"), (1000, None, "log"), (10, "5 epochs", "5 epochs")],
)
def test_the_schedule_by_default(tmp_path, steps_per_epoch, every, schedule):
    Recorder(tmp_path / "run", made(small)[0], probe=PROBE, steps_per_epoch=steps_per_epoch, every=every).close()
    assert Run(tmp_path / "run").manifest.schedule == schedule


def test_a_subset_of_layers(tmp_path):
    model, optimizer = made()
    states = [state_of(model)]
    asked = {"layers": ["hid*", "norm"], "every": "step", "loss": CRITERION}
    with Recorder(tmp_path / "run", model, probe=PROBE, optimizer=optimizer, **asked) as recorder:
        train(model, optimizer, 1, recorder, lambda: states.append(state_of(model)))
    run = Run(tmp_path / "run")
    assert_frames(run, states)
    assert run.manifest.storage["subset"] == {"layers": ["hid*", "norm"], "parameters": 7, "of": 13}
    assert [(layer.name, layer.type, layer.units) for layer in run.manifest.layers] == [
        ("hidden", "Linear", 4),
        ("norm", "BatchNorm1d", 4),
    ]
    assert run.manifest.model == {"reason": "reason.txt"}
    assert run.model_file("reason") == b"only the layers hid*, norm were recorded"
    for passed in (None, model):
        with pytest.raises(
            Unsupported, match=r"only the layers hid\*, norm were recorded; their weights .* can be read"
        ):
            netlapse.open(tmp_path / "run", model=passed).activations("hidden")
    with pytest.raises(Unsupported, match=r"layers=\['encoder.\*'\] matches none; layers .* '', 'hidden', 'norm'"):
        Recorder(tmp_path / "other", model, probe=PROBE, layers=["encoder.*"])
    assert not (tmp_path / "other").exists()


def test_hyperparameters_are_read(tmp_path):
    model, optimizer = made(small, weight_decay=0.25)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))], "lr": 0.5, "nesterov": True})
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 2], gamma=0.5)
    Recorder(
        tmp_path / "run",
        model,
        probe=PROBE,
        optimizer=optimizer,
        scheduler=scheduler,
        loss=CRITERION,
        steps_per_epoch=3,
        hyperparameters={"batch_size": 16, "seed": "mine"},
    ).close()
    found = netlapse.open(tmp_path / "run").hyperparameters
    wanted = {
        "activation": "tanh",
        "layers": 3,
        "parameters": 13,
        "dtype": "float32",
        "loss": "bce_with_logits",
        "optimizer": "SGD",
        "learning_rate": 0.1,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 0.25,
        "optimizer.nesterov": False,
        "optimizer.groups.1.lr": 0.5,
        "optimizer.groups.1.nesterov": True,
        "scheduler": "MultiStepLR",
        "scheduler.milestones": [2, 4],
        "scheduler.gamma": 0.5,
        "steps_per_epoch": 3,
        "batch_size": 16,
        "seed": "mine",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert found["units"][-1] == 1
    assert not any("params" in name or "last_epoch" in name for name in found)


def test_settings_of_schedulers_within_others():
    _, optimizer = made(small)
    kinds = torch.optim.lr_scheduler
    parts = [kinds.LinearLR(optimizer, 0.5), kinds.LambdaLR(optimizer, lambda epoch: 1.0)]
    found = training_settings([optimizer], [kinds.SequentialLR(optimizer, parts, [4])], None)
    assert found["learning_rate"] == 0.1  # not what the scheduler has made of it
    assert {name: value for name, value in found.items() if name.startswith("scheduler")} == {
        "scheduler": "SequentialLR",
        "scheduler.milestones": [4],
        "scheduler.0": "LinearLR",
        "scheduler.0.start_factor": 0.5,
        "scheduler.0.end_factor": 1.0,
        "scheduler.0.total_iters": 5,
        "scheduler.1": "LambdaLR",
        "scheduler.1.lr_lambdas": ["<lambda>"],
    }


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (nn.BCEWithLogitsLoss(), "bce_with_logits"),
        (nn.CrossEntropyLoss(), "cross_entropy"),
        (nn.functional.cross_entropy, "cross_entropy"),
        (partial(nn.functional.mse_loss, reduction="none"), "mse"),
        (nn.L1Loss(), "l1"),
        (nn.SmoothL1Loss(), "smooth_l1"),
        (nn.KLDivLoss(), "kl_div"),
        (lambda outputs, targets: outputs, "<lambda>"),
    ],
)
def test_losses_have_names_that_read_well(loss, name):
    assert loss_name(loss) == name


def test_the_probe_may_be_a_batch(tmp_path):
    dataset = torch.utils.data.TensorDataset(*PROBE)
    loader = torch.utils.data.DataLoader(dataset, batch_size=8)
    capture(small(), tmp_path / "run", next(iter(loader)))
    capture(small(), tmp_path / "arrays", (INPUTS.numpy(), TARGETS.numpy()))
    assert Run(tmp_path / "run").probe()["train/inputs"].tolist() == INPUTS[:8].tolist()
    for data, kind in ((loader, "DataLoader"), (dataset, "TensorDataset")):
        with pytest.raises(BadProbe, match=f"probe is a {kind}; pass the inputs and targets"):
            capture(small(), tmp_path / "other", data)


def test_bad_examples(tmp_path):
    with pytest.raises(BadProbe, match="must be a pair"):
        capture(small(), tmp_path / "run", INPUTS)
    with pytest.raises(BadProbe):
        capture(small(), tmp_path / "run", (INPUTS[:, :1], TARGETS))
    with pytest.raises(BadProbe, match="validation inputs have the axes"):
        Recorder(tmp_path / "run", small(), probe=PROBE, validation=(INPUTS[:, 0], TARGETS))
    assert not (tmp_path / "run").exists()


def test_numbers_are_logged_and_nothing_else(tmp_path):
    with Recorder(tmp_path / "run", small(), probe=PROBE) as recorder:
        with pytest.raises(ValueError, match=r"loss has the shape \(2,\); log one number, such as its mean"):
            recorder.step(loss=torch.zeros(2))
        recorder.epoch(a=torch.ones(1, requires_grad=True), b=np.float32(2), c=3)
    run = Run(tmp_path / "run")
    assert [run.scalar(name)[-1] for name in "abc"] == [1, 2, 3]


def test_models_that_have_no_weights_here(tmp_path):
    with pytest.raises(Unsupported, match=r"0\.weight has no shape yet; call the model once"):
        capture(nn.Sequential(nn.LazyLinear(3)), tmp_path / "run", PROBE)
    with pytest.raises(Unsupported, match=r"0\.weight is on the meta device"):
        capture(small().to("meta"), tmp_path / "run", PROBE)
    with pytest.raises(Unsupported, match="the model has no parameters"):
        capture(nn.Tanh(), tmp_path / "run", PROBE)
    assert not (tmp_path / "run").exists()


def test_a_capture_is_a_run_of_one_frame(tmp_path):
    model = small()
    capture(model, tmp_path / "run", PROBE, loss=CRITERION, class_names=["a", "b"])
    run = Run(tmp_path / "run")
    assert_frames(run, [state_of(model)])
    assert (run.status, run.epochs.tolist(), run.manifest.probe["class_names"]) == ("complete", [0], ["a", "b"])


def test_other_ranks_do_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    model, optimizer = made(small)
    with (
        mock.patch("torch.distributed.is_initialized", return_value=True),
        mock.patch("torch.distributed.get_rank", return_value=1),
        Recorder(tmp_path / "file" / "run", model, probe=None, optimizer=optimizer) as recorder,
    ):
        assert not optimizer._optimizer_step_post_hooks
        recorder.step(loss=object())
        recorder.epoch()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


DISTRIBUTED = """
import sys, torch
from torch import nn
from netlapse.torch import Recorder
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
torch.manual_seed(rank)
X = torch.randn(8, 2)
y = (X[:, :1] > 0).float()
loss = nn.BCEWithLogitsLoss()
with Recorder(f"{folder}/run", model, probe=(X, y), optimizer=optimizer, loss=loss) as recorder:
    for _ in range(3):
        optimizer.zero_grad()
        value = loss(model(X), y)
        value.backward()
        optimizer.step()
        recorder.step(loss=value)
        recorder.epoch()
torch.save(model.module.state_dict(), f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is built without torch.distributed")
def test_of_processes_that_train_together_the_first_records(tmp_path):
    command = [sys.executable, "-W", "error::UserWarning:netlapse", "-c", DISTRIBUTED]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE, text=True, env=environment)
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    run = Run(tmp_path / "run")
    assert (run.steps.tolist(), run.epochs.tolist(), run.status) == ([0, 1, 2, 3], [0, 1, 2, 3], "complete")
    assert "0.weight" in [parameter.name for parameter in run.manifest.parameters]
    for rank in range(2):
        last = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        np.testing.assert_array_equal(run.weights("0.weight")[-1], last["0.weight"])


def test_the_door_says_what_it_needs():
    code = "import sys; sys.modules['torch'] = None\nimport netlapse.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'ImportError: netlapse.torch needs PyTorch: pip install "netlapse[torch]"' in done.stderr
    code = (
        "import sys, types; from torch.torch_version import TorchVersion\n"
        "import torch; torch.__version__ = TorchVersion('2.3.1+cpu')\nimport netlapse.torch"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: netlapse.torch needs PyTorch 2.4 or newer, and found 2.3.1+cpu: upgrade torch" in done.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_on_a_gpu(tmp_path, dtype):
    torch.manual_seed(3)
    model = small().to("cuda", getattr(torch, dtype))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    states, losses = [{name: tensor.cpu() for name, tensor in state_of(model).items()}], []
    probe = INPUTS.cuda(), TARGETS.cuda()
    with Recorder(tmp_path / "run", model, probe=probe, optimizer=optimizer, every="step") as recorder:
        for inputs, targets in BATCHES:
            loss = CRITERION(model(inputs.to("cuda", getattr(torch, dtype))).float(), targets.cuda())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            recorder.step(loss=loss)
            states.append({name: tensor.cpu() for name, tensor in state_of(model).items()})
            losses.append(loss.item())
        recorder.epoch()
    run = Run(tmp_path / "run")
    assert_frames(run, states)
    assert run.manifest.backend == "cuda"
    np.testing.assert_allclose(run.scalar("loss")[1:], np.cumsum(losses) / [1, 2, 3], rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_logging_does_not_wait_for_a_gpu(tmp_path):
    model = small().cuda()
    with Recorder(tmp_path / "run", model, probe=PROBE, every="100 epochs") as recorder:
        torch.cuda.set_sync_debug_mode("error")
        try:
            loss = torch.ones((), device="cuda")
            for _ in range(5):
                recorder.step(loss=loss)
                loss.add_(1)  # in place: what was logged stays what it was
            recorder.epoch(val_loss=loss)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    run = Run(tmp_path / "run")
    assert (run.scalar("loss")[-1], run.scalar("val_loss")[-1]) == (3, 6)

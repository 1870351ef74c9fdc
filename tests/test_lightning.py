"""Recording Lightning's Trainer."""

from __future__ import annotations

import copy
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import netlapse
from netlapse.errors import RunError, Unsupported

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning.pytorch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from netlapse.lightning import Recorder  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*You're resuming from a checkpoint that ended before the epoch ended"),
    pytest.mark.filterwarnings("ignore:.*Be aware that when using `ckpt_path`"),
    pytest.mark.filterwarnings("ignore:.*`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
y = (X[:, 0] * X[:, 1] > 0).long()
HELD_OUT = X[:16] + 0.1, y[:16]


class Classifier(lightning.LightningModule):
    """Of the kind that the tutorials have."""

    def __init__(
        self, width: int = 4, learning_rate: float = 9.0, optimizer: str = "sgd", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.hidden = nn.Linear(2, width)
        self.norm = nn.BatchNorm1d(width)
        self.output = nn.Linear(width, 2)

    def forward(self, x):
        return self.output(torch.tanh(self.norm(self.hidden(x))))

    def training_step(self, batch, _):
        inputs, targets = batch
        outputs = self(F.dropout(inputs, self.hparams.dropout))
        loss = F.cross_entropy(outputs, targets)
        self.log("accuracy", (outputs.argmax(1) == targets).float().mean(), on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        inputs, targets = batch
        self.log("val_loss", F.cross_entropy(self(inputs), targets))

    def on_train_epoch_end(self):
        self.log("late", float(self.current_epoch))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.2, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]


class Diary(lightning.Callback):
    """Everything about a training, noted in the plainest way."""

    def __init__(self) -> None:
        self.states: dict[int, dict[str, np.ndarray]] = {}
        self.losses: list[float] = []
        self.validation: list[float] = []
        self.random: list[torch.Tensor] = []

    def on_train_start(self, trainer, pl_module):
        self.note(trainer, pl_module)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.note(trainer, pl_module)
        self.losses.append(float(outputs["loss"]) * trainer.accumulate_grad_batches)

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            pl_module.eval()
            with torch.no_grad():
                self.validation.append(float(F.cross_entropy(pl_module(HELD_OUT[0]), HELD_OUT[1])))

    def note(self, trainer, pl_module):
        # After the step itself: BatchNorm's statistics move with batches that only add to gradients.
        state = {name: tensor.numpy().copy() for name, tensor in pl_module.state_dict().items()}
        self.states.setdefault(trainer.global_step, state)
        self.random.append(torch.get_rng_state())


def loader(data=(X, y), **settings):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=8, **settings)


def trainer_of(*callbacks, epochs=3, **settings):
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(c, lightning.callbacks.ModelCheckpoint) for c in callbacks),
        callbacks=list(callbacks),
        **settings,
    )


def fit(*callbacks, module=None, checkpoint=None, shuffle=False, **settings):
    torch.manual_seed(3)
    trainer = trainer_of(*callbacks, **settings)
    trainer.fit(module or Classifier(), loader(shuffle=shuffle), loader(HELD_OUT), ckpt_path=checkpoint)
    return trainer


def recorder(path, **settings):
    return Recorder(path, **{"probe": (X, y), "loss": nn.CrossEntropyLoss(), **settings})


def assert_states(replay, states):
    """Each frame has the weights that were noted at its step."""
    for number, step in enumerate(replay.steps):
        for name in replay.parameters:
            found = replay.run.weights(name, np.array([number]))[0]
            np.testing.assert_array_equal(found, states[int(step)][name], err_msg=f"{name} at step {step}")


def test_a_fit_is_recorded(tmp_path):
    diary = Diary()
    module = Classifier()
    fit(recorder(tmp_path / "run", every="step", validation=HELD_OUT), diary, module=module)
    replay = netlapse.open(tmp_path / "run")
    assert replay.status == "complete"
    np.testing.assert_array_equal(replay.steps, np.arange(16))
    np.testing.assert_allclose(replay.epochs, np.arange(16) / 5)
    assert set(replay.parameters) == set(module.state_dict())
    assert_states(replay, diary.states)
    # "loss" is the mean since the epoch began, as the other doors have it.
    losses = np.array(diary.losses).reshape(3, 5)
    means = np.cumsum(losses, axis=1) / np.arange(1, 6)
    np.testing.assert_allclose(replay.recorded("loss")[1:], means.ravel(), rtol=1e-6)
    # The rate that led there, not the next one.
    np.testing.assert_allclose(replay.recorded("learning_rate")[1:], np.repeat([0.2, 0.1, 0.05], 5))


def test_what_is_logged_is_of_the_same_epoch(tmp_path):
    diary = Diary()
    fit(recorder(tmp_path / "run"), diary, epochs=4, check_val_every_n_epoch=2)
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.epochs, np.arange(5))
    # Validated after every second epoch, with the weights of the frame: nothing stale in between.
    np.testing.assert_allclose(
        replay.recorded("val_loss"), [np.nan, np.nan, diary.validation[0], np.nan, diary.validation[1]], rtol=1e-6
    )
    np.testing.assert_array_equal(replay.recorded("late")[1:], np.arange(4))
    assert np.isfinite(replay.recorded("accuracy")[1:]).all()


def test_a_network_of_lightnings_is_replayed(tmp_path):
    module = Classifier()
    fit(recorder(tmp_path / "run"), module=module)
    replay = netlapse.open(tmp_path / "run")
    module.eval()
    outputs = module(X)
    np.testing.assert_allclose(replay.outputs(epoch=3), outputs.detach(), atol=1e-5)
    wanted = F.cross_entropy(outputs, y, reduction="none").detach()
    np.testing.assert_allclose(replay.losses(epoch=3), wanted, atol=1e-5)
    module.zero_grad()
    F.cross_entropy(module(X), y).backward()
    gradients = replay.gradients(epoch=3)
    assert set(gradients) == {name for name, _ in module.named_parameters()}
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(gradients[name], parameter.grad, atol=1e-5)


def test_nothing_changes_in_the_training(tmp_path):
    recorded, plain = Diary(), Diary()
    torch.manual_seed(0)
    module = Classifier(dropout=0.3)
    other = copy.deepcopy(module)
    fit(recorder(tmp_path / "run", every="step", scalars="step"), recorded, module=module, shuffle=True)
    fit(plain, module=other, shuffle=True)
    assert recorded.losses == plain.losses
    assert all(map(torch.equal, recorded.random, plain.random))
    for step, state in plain.states.items():
        for name, values in state.items():
            np.testing.assert_array_equal(recorded.states[step][name], values)


@pytest.mark.parametrize("share", [2, 3])
def test_accumulated_gradients(tmp_path, share):
    diary = Diary()
    fit(recorder(tmp_path / "run", every="step"), diary, accumulate_grad_batches=share)
    replay = netlapse.open(tmp_path / "run")
    per_epoch = -(-5 // share)
    np.testing.assert_array_equal(replay.steps, np.arange(3 * per_epoch + 1))
    np.testing.assert_allclose(replay.epochs, np.arange(3 * per_epoch + 1) / per_epoch)
    assert_states(replay, diary.states)
    ends = np.array(diary.losses).reshape(3, 5).mean(axis=1)
    np.testing.assert_allclose(replay.recorded("loss")[per_epoch::per_epoch], ends, rtol=1e-6)


@pytest.mark.parametrize("every", ["end", "middle", "validation"])
def test_a_checkpoint_continues_the_run(tmp_path, every):
    kept = {"end": {"every_n_epochs": 1}, "middle": {"every_n_train_steps": 2}, "validation": {"monitor": "val_loss"}}
    checkpoints = lightning.callbacks.ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, **kept[every])
    whole = Diary()
    fit(recorder(tmp_path / "whole", every="step"), whole, checkpoints, accumulate_grad_batches=2)
    files = sorted(tmp_path.glob("*.ckpt"), key=lambda path: int(path.stem.removeprefix("step=")))
    early, late = Diary(), Diary()
    # Two of three epochs, then from a checkpoint that is older than the last frame.
    fit(recorder(tmp_path / "run", every="step"), early, accumulate_grad_batches=2, epochs=2)
    checkpoint = files[{"end": 0, "middle": 1, "validation": 0}[every]]
    step = int(checkpoint.stem.removeprefix("step="))
    assert step == (4 if every == "middle" else 3)
    fit(
        recorder(tmp_path / "run", every="step", exist="resume"), late, accumulate_grad_batches=2, checkpoint=checkpoint
    )
    replay, reference = netlapse.open(tmp_path / "run"), netlapse.open(tmp_path / "whole")
    np.testing.assert_array_equal(replay.steps, reference.steps)
    np.testing.assert_allclose(replay.epochs, reference.epochs, rtol=1e-12)
    assert_states(replay, {**early.states, **late.states})
    # In the middle of an epoch Lightning begins its data anew: what is trained is another training from there.
    if every != "middle":
        assert_states(replay, whole.states)
        np.testing.assert_allclose(replay.recorded("loss"), reference.recorded("loss"), rtol=1e-6)
        np.testing.assert_allclose(replay.recorded("val_loss"), reference.recorded("val_loss"), rtol=1e-6)


def test_several_fits_make_one_run(tmp_path):
    callback, module = recorder(tmp_path / "run"), Classifier()
    fit(callback, module=module, epochs=2)
    fit(callback, module=module, epochs=1)
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.epochs, np.arange(4))
    np.testing.assert_array_equal(replay.steps, [0, 5, 10, 15])
    with pytest.raises(RunError, match="run"):
        fit(recorder(tmp_path / "run"))


class GAN(lightning.LightningModule):
    """Two optimisers, stepped by hand; the discriminator's two times a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))

    def forward(self, z):
        return self.generator(z)

    def training_step(self, batch, _):
        real, _ = batch
        for_generator, for_discriminator = self.optimizers()
        for _ in range(2):
            z = torch.randn(len(real), 3)
            scores = self.discriminator(torch.cat([real, self(z).detach()]))
            loss = F.binary_cross_entropy_with_logits(
                scores, torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)])
            )
            for_discriminator.zero_grad()
            self.manual_backward(loss)
            for_discriminator.step()
        loss = F.softplus(-self.discriminator(self(torch.randn(len(real), 3)))).mean()
        self.log("generator_loss", loss, on_epoch=True, on_step=False)
        for_generator.zero_grad()
        self.manual_backward(loss)
        for_generator.step()

    def configure_optimizers(self):
        generator = torch.optim.Adam(self.generator.parameters(), lr=0.01, betas=(0.5, 0.9))
        return generator, torch.optim.SGD(self.discriminator.parameters(), lr=0.1)


def test_the_steps_of_the_first_of_two_optimisers_are_counted(tmp_path):
    module = GAN()
    z = torch.randn(10, 3)
    states = {}

    class Batches(lightning.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            states[len(states) + 1] = {n: t.numpy().copy() for n, t in pl_module.state_dict().items()}

    torch.manual_seed(0)
    trainer_of(recorder(tmp_path / "run", probe=(z, X[:10]), loss=None), Batches(), epochs=2).fit(module, loader())
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.steps, [0, 5, 10])
    np.testing.assert_array_equal(replay.epochs, [0, 1, 2])
    assert np.isfinite(replay.recorded("generator_loss")[1:]).all()
    assert replay.recorded("learning_rate/1")[-1] == 0.1
    states[0] = {name: replay.weights(name, 0) for name in replay.parameters}
    assert_states(replay, states)
    assert replay.hyperparameters["optimizer"] == "Adam"
    assert replay.hyperparameters["optimizers.1.optimizer"] == "SGD"
    np.testing.assert_allclose(replay.outputs(epoch=2), module(z).detach(), atol=1e-5)


def test_hyperparameters_of_module_and_optimiser(tmp_path):
    fit(recorder(tmp_path / "run", hyperparameters={"note": "mine"}), epochs=1)
    found = netlapse.open(tmp_path / "run").hyperparameters
    assert found["width"] == 4
    assert found["note"] == "mine"
    # The module says 9.0 and "sgd", and trains with another.
    assert found["learning_rate"] == 0.2
    assert found["optimizer"] == "SGD"
    assert found["optimizer.momentum"] == 0.9


class Autoencoder(lightning.LightningModule):
    """Lightning's first example."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        self.decoder = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 2))

    def training_step(self, batch, _):
        x, _ = batch
        return F.mse_loss(self.decoder(self.encoder(x)), x)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def test_a_module_without_forward(tmp_path):
    with pytest.raises(Unsupported, match=r"Autoencoder has no forward of its own.*forward=lambda module, x"):
        trainer_of(recorder(tmp_path / "run")).fit(Autoencoder(), loader())
    assert not (tmp_path / "run").exists()
    module = Autoencoder()
    through = recorder(
        tmp_path / "run", probe=(X, X), loss=nn.MSELoss(), forward=lambda module, x: module.decoder(module.encoder(x))
    )
    trainer_of(through).fit(module, loader())
    replay = netlapse.open(tmp_path / "run")
    outputs = module.decoder(module.encoder(X)).detach()
    np.testing.assert_allclose(replay.outputs(epoch=3), outputs, atol=1e-5)
    np.testing.assert_allclose(replay.activations("encoder.2", epoch=3), module.encoder(X).detach(), atol=1e-5)
    np.testing.assert_allclose(replay.losses(epoch=3), ((outputs - X) ** 2).mean(1), atol=1e-5)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_training_that_fails_is_interrupted(tmp_path, error):
    class Failing(lightning.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.global_step == 7:
                raise error

    with pytest.raises(SystemExit if error is KeyboardInterrupt else error):
        fit(recorder(tmp_path / "run"), Failing())
    replay = netlapse.open(tmp_path / "run")
    assert replay.status == "interrupted"
    np.testing.assert_array_equal(replay.epochs, [0, 1])


TWO_PROCESSES = """
import sys
import torch
from tests.test_lightning import Classifier, loader, recorder, trainer_of

trainer, module = trainer_of(recorder(sys.argv[1]), epochs=1, strategy="ddp", devices=2), Classifier()
trainer.fit(module, loader())
if trainer.is_global_zero:
    torch.save(module.state_dict(), sys.argv[2])
# Lightning leaves it to the end of the process, which may then abort.
torch.distributed.destroy_process_group()
"""


def test_of_two_processes_one_records(tmp_path):
    script, run, last = tmp_path / "train.py", tmp_path / "run", tmp_path / "last.pt"
    script.write_text(TWO_PROCESSES)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    command = [sys.executable, script, run, last]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    replay = netlapse.open(run)
    assert replay.status == "complete"
    np.testing.assert_array_equal(replay.steps, [0, 3])
    assert_states(replay, {0: {n: replay.weights(n, 0) for n in replay.parameters}, 3: torch.load(last)})


def test_training_that_stops_within_an_epoch(tmp_path):
    diary = Diary()
    fit(recorder(tmp_path / "run"), diary, epochs=-1, max_steps=7)
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.steps, [0, 5, 7])
    assert_states(replay, diary.states)


def test_pytorch_lightning_takes_the_callback_too(tmp_path):
    other = pytest.importorskip("pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    class Module(other.LightningModule):
        def __init__(self):
            super().__init__()
            self.output = nn.Linear(2, 2)

        def forward(self, x):
            return self.output(x)

        def training_step(self, batch, _):
            return F.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    module = Module()
    trainer = other.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, callbacks=[recorder(tmp_path / "run")], **silent
    )
    trainer.fit(module, loader())
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.steps, [0, 5, 10])
    np.testing.assert_allclose(replay.outputs(epoch=2), module(X).detach(), atol=1e-5)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("", 'netlapse.lightning needs Lightning: pip install "netlapse[lightning]"'),
        ("2.1.4", "needs Lightning 2.2 or newer, and found lightning 2.1.4"),
    ],
)
def test_lightning_missing_or_too_old(tmp_path, found, said):
    if found:
        (tmp_path / "lightning").mkdir()
        (tmp_path / "lightning" / "__init__.py").write_text(f"__version__ = {found!r}")
    code = f"""
    import importlib.util, sys
    sys.path.insert(0, {str(tmp_path)!r})
    find_spec = importlib.util.find_spec
    importlib.util.find_spec = lambda name: find_spec(name) if {found!r} or "lightning" not in name else None
    import netlapse.lightning
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]

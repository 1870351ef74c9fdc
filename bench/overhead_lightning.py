"""Trainings with Lightning: a CNN."""

from __future__ import annotations

import logging
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from netlapse.lightning import Recorder

from .overhead import Clock, Way, Workload
from .overhead_torch import count_hooks, task_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TASK = task_named("cnn")
OPENING = {"setup", "on_fit_start", "on_train_start", "log_hyperparams", "log_graph"}
CLOSING = {"on_train_end", "on_fit_end", "teardown", "finalize"}


class Module(lightning.LightningModule):
    """The CNN, and how it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.network = TASK.build()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.network(inputs)

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        inputs, targets = batch
        loss = functional.cross_entropy(self(inputs), targets)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), TASK.rate)


class CountHooks(lightning.Callback):
    """Counts what passes within the hooks of the optimiser that callbacks before this one have set."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_start(self, trainer, pl_module):
        count_hooks(self.clock, trainer.optimizers[0])


def train(watchers: Callable[[Path], dict[str, Any]], folder: Path, epochs: int) -> Clock:
    """Train once, watched."""
    lightning.seed_everything(0, verbose=False)
    module = Module()
    batches = DataLoader(TensorDataset(TASK.inputs, TASK.targets), TASK.batch, shuffle=True)
    clock = Clock()

    def fit() -> None:
        arguments = {"logger": False, "callbacks": [], "log_every_n_steps": 1}
        arguments |= clock.timed("opening", watchers)(folder)
        for watcher in arguments["callbacks"]:
            clock.watch(watcher, lightning.Callback, OPENING, CLOSING)
        arguments["callbacks"].append(CountHooks(clock))
        if arguments["logger"]:
            clock.watch(arguments["logger"], Logger, OPENING, CLOSING)
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            enable_checkpointing=any(isinstance(watcher, ModelCheckpoint) for watcher in arguments["callbacks"]),
            enable_progress_bar=False,
            enable_model_summary=False,
            **arguments,
        )
        trainer.fit(module, batches)

    clock.timed("all", fit)()
    return clock


def recorded(every: str, folder: Path) -> dict[str, Any]:
    probe = TASK.inputs.numpy(), TASK.targets.numpy()
    return {"callbacks": [Recorder(folder / "run", probe=probe, loss=TASK.loss, every=every)]}


def saved(folder: Path) -> dict[str, Any]:
    return {"callbacks": [ModelCheckpoint(folder, save_top_k=-1, every_n_epochs=1)]}


def logged(folder: Path) -> dict[str, Any]:
    return {"logger": CSVLogger(folder, flush_logs_every_n_steps=1)}


def workloads(_: str) -> list[Workload]:
    """The CNN in all ways."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    ways = [
        Way("nothing", "", partial(train, lambda _: {})),
        Way("netlapse, every epoch", "all weights, loss", partial(train, partial(recorded, "epoch"))),
        Way("netlapse, every step", "all weights, loss", partial(train, partial(recorded, "step"))),
        Way(
            "`ModelCheckpoint`, every epoch",
            "all weights, states of the optimiser and the loops",
            partial(train, saved),
        ),
        Way("`CSVLogger`, every step", "scalars", partial(train, logged)),
    ]
    title = TASK.title.format(TASK.epochs, TASK.steps_per_epoch).replace("PyTorch", "Lightning")
    return [Workload(f"{title} ({torch.get_num_threads()} threads)", TASK.epochs, ways)]

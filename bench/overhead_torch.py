"""Trainings in plain PyTorch loops: the article's network, a CNN, a decoder-only transformer."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
import wandb
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

import netlapse.torch
from netlapse.datasets import parabolas

from .digits import digits
from .overhead import Clock, Way, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What is done after a step, given its loss, and after an epoch.
Hooks = tuple["Callable[[Tensor], object]", "Callable[[], object]"]


@dataclass(frozen=True)
class Task:
    """What is trained: a network, its data and how."""

    title: str
    build: Callable[[], nn.Module]
    inputs: Tensor
    targets: Tensor
    batch: int
    rate: float
    loss: Callable[[Tensor, Tensor], Tensor]
    epochs: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.inputs) // self.batch)


@dataclass(frozen=True)
class Training:
    """A task that is about to be trained, and where to write to."""

    task: Task
    model: nn.Module
    optimizer: torch.optim.Optimizer
    folder: Path


def train(task: Task, watcher: Callable[[Training], Any], folder: Path, epochs: int) -> Clock:
    """Train once, watched."""
    torch.manual_seed(0)
    model = task.build()
    optimizer = torch.optim.SGD(model.parameters(), task.rate)
    clock = Clock()

    def loop() -> None:
        with ExitStack() as stack:
            hooks = clock.timed("opening", stack.enter_context)(watcher(Training(task, model, optimizer, folder)))
            step, epoch = (clock.timed("within", hook) for hook in hooks)
            count_hooks(clock, optimizer)
            for _ in range(epochs):
                for index in torch.randperm(len(task.inputs)).split(task.batch):
                    optimizer.zero_grad()
                    loss = task.loss(model(task.inputs[index]), task.targets[index])
                    loss.backward()
                    optimizer.step()
                    step(loss)
                epoch()
            clock.timed("closing", stack.close)()

    clock.timed("all", loop)()
    return clock


def count_hooks(clock: Clock, optimizer: torch.optim.Optimizer) -> None:
    """Count what passes within the hooks of an optimiser."""
    hooks = optimizer._optimizer_step_post_hooks
    for key, hook in hooks.items():
        hooks[key] = clock.timed("within", hook)


def _nothing(*_: object) -> None:
    pass


def nothing(_: Training) -> Any:
    return nullcontext((_nothing, _nothing))


@contextmanager
def recorded(every: str, training: Training) -> Iterator[Hooks]:
    task = training.task
    with netlapse.torch.Recorder(
        training.folder / "run",
        training.model,
        probe=(task.inputs, task.targets),
        optimizer=training.optimizer,
        loss=task.loss,
        every=every,
        steps_per_epoch=task.steps_per_epoch,
    ) as recorder:
        yield lambda loss: recorder.step(loss=loss), recorder.epoch


def saved(training: Training) -> Any:
    files = (training.folder / f"{number}.pt" for number in count())
    return nullcontext((_nothing, lambda: torch.save(training.model.state_dict(), next(files))))


@contextmanager
def tensorboard(training: Training) -> Iterator[Hooks]:
    numbers = count()

    def histograms() -> None:
        number = next(numbers)
        for name, parameter in training.model.named_parameters():
            writer.add_histogram(name, parameter, number)
            writer.add_histogram(f"{name}.grad", parameter.grad, number)

    with SummaryWriter(training.folder) as writer:
        yield _nothing, histograms


@contextmanager
def watched(frequency: int, training: Training) -> Iterator[Hooks]:
    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True)
    with wandb.init(project="overhead", mode="offline", dir=training.folder, settings=settings) as run:
        run.watch(training.model, log="all", log_freq=frequency)
        yield lambda loss: run.log({"loss": loss}), _nothing
        run.unwatch(training.model)
    wandb.teardown()  # ends its process


def cnn() -> nn.Module:
    """The network of `bench.cnn`: 1,199,882 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


WIDTH, HEADS, DEPTH, CONTEXT, CHARACTERS = 384, 6, 6, 64, 64


class Block(nn.Module):
    """Attention to what came before, and a layer for each place."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention, self.projection = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        heads = self.attention(self.before_attention(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*heads.unbind(), is_causal=True)
        x = x + self.projection(attended.transpose(1, 2).flatten(-2))
        return x + self.mlp(self.before_mlp(x))


class Transformer(nn.Module):
    """A decoder of 10.7 million parameters: logits of the next character at every place."""

    def __init__(self) -> None:
        super().__init__()
        self.characters, self.places = nn.Embedding(CHARACTERS, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CHARACTERS)

    def forward(self, characters: Tensor) -> Tensor:
        places = torch.arange(characters.shape[1], device=characters.device)
        return self.head(self.norm(self.blocks(self.characters(characters) + self.places(places))))


def next_character(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of all places."""
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def task_named(name: str) -> Task:
    """The task with its data."""
    if name == "article":
        X, y = parabolas()

        def build() -> nn.Module:
            return nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1), nn.Sigmoid())

        title = "The article's network, {} epochs of {} steps, PyTorch"
        inputs, targets = torch.from_numpy(X), torch.from_numpy(y)[:, None]
        return Task(title, build, inputs, targets, 16, 0.1, nn.BCELoss(), 40)
    if name == "cnn":
        X, y = digits()
        inputs, targets = torch.from_numpy(X).movedim(-1, 1), torch.from_numpy(y)
        title = "A CNN of 1.2 million parameters, {} epochs of {} steps, PyTorch"
        return Task(title, cnn, inputs, targets, 64, 0.05, nn.CrossEntropyLoss(), 3)
    generator = torch.Generator().manual_seed(0)
    # Characters that follow each other at small distances.
    text = torch.randint(1, 4, (64, CONTEXT + 1), generator=generator).cumsum(1) % CHARACTERS
    title = "A transformer of 10.7 million parameters, {} epochs of {} steps, PyTorch"
    return Task(title, Transformer, text[:, :-1].contiguous(), text[:, 1:].contiguous(), 4, 0.1, next_character, 2)


def workloads(name: str) -> list[Workload]:
    """The task in all ways."""
    task = task_named(name)
    ways = [
        Way("nothing", "", partial(train, task, nothing)),
        Way("netlapse, every epoch", "all weights, loss", partial(train, task, partial(recorded, "epoch"))),
        Way("netlapse, every step", "all weights, loss", partial(train, task, partial(recorded, "step"))),
        Way("`torch.save(state_dict)`, every epoch", "all weights", partial(train, task, saved)),
        Way(
            "`SummaryWriter.add_histogram`, every epoch",
            "histograms of weights and gradients",
            partial(train, task, tensorboard),
        ),
    ] + [
        Way(
            f'`wandb.watch(log="all"{options})`',
            f"histograms of weights and gradients every {steps}, loss every step",
            partial(train, task, partial(watched, frequency)),
            inward=True,
        )
        for frequency, options, steps in ((1000, "", "1,000 steps"), (1, ", log_freq=1", "step"))
    ]
    title = task.title.format(task.epochs, task.steps_per_epoch)
    return [Workload(f"{title} ({torch.get_num_threads()} threads)", task.epochs, ways)]

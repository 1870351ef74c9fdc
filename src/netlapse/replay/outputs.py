"""What a network's outputs say about the examples: measures of any task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import measures
from ..errors import DamagedRun, MissingFrame, Unsupported
from ..measures.task import Labels, task_of
from ..measures.timeline import Timeline
from ..store.examples import count, each
from .network import Tap
from .values import Values, rows_of, scores, slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..measures import Task
    from .frames import Epochs
    from .values import Split

M = TypeVar("M", bound=Timeline)


class Outputs(Values):
    """Measures of outputs: of classes, labels and quantities."""

    def task(self, *, split: Split = "train", output: str | None = None, label: str | None = None) -> Task:
        """What the targets of an output ask for: classes, labels or quantities.

        With `label`, whether an example has one of several labels, as two classes. Raises Unsupported for targets that
        do not fit the output, and for outputs of several places, such as the tokens of a text.
        """
        head = self._head(output)
        units = next((layer.units for layer in self.layers if layer.name == head.tap.layer), None)
        if units is None:
            units = self._scores(head, self._select(None)[:1], rows_of(self.inputs(split), slice(1))).shape[-1]
        targets = self.target(output, split)
        task = task_of(targets, link=head.link, units=units, names=self.run.manifest.probe.get("class_names"))
        if label is None:
            return task
        if not isinstance(task, Labels):
            raise Unsupported(f"an example of run {self.name!r} has no several labels; leave out label={label!r}")
        return task.one(label)

    def class_probabilities(
        self,
        epoch: Epochs = None,
        *,
        examples: Sequence[int] | None = None,
        label: str | None = None,
        split: Split = "train",
        output: str | None = None,
    ) -> measures.ClassProbabilities:
        """The probability of every class for each example; of several labels, with and without one of them.

        `examples` are places in the probe; all by default. Raises Unsupported for quantities, and for outputs that are
        no probabilities; UnknownName for examples that are not there.
        """
        task, logits_of = self._reading(split, output, label)
        if not isinstance(task, measures.Classes):
            raise Unsupported(f"run {self.name!r} predicts {', '.join(task.names)}, not classes: see `predictions`")
        numbers, inputs = self._select(epoch), self.inputs(split)
        if examples is not None:
            chosen = measures.chosen(examples, count(inputs), "example", 0)
            task = replace(task, labels=task.labels[chosen])
            inputs = each(inputs, lambda array: array[chosen])
        [values] = self._evaluate([self._head(output).tap], numbers, inputs)
        return measures.class_probabilities(logits_of(values), epochs=self.epochs[numbers], task=task)

    def sample_losses(
        self, epoch: Epochs = None, *, split: Split = "train", output: str | None = None
    ) -> measures.SampleLosses:
        """Loss of each example, and which are wrong. The loss is that of all outputs together."""
        numbers = self._select(epoch)
        inputs, targets = self.inputs(split), self.targets(split)
        task = self.task(split=split, output=output)
        return measures.SampleLosses.join(
            [
                measures.sample_losses(
                    self._losses(numbers[rows], inputs, targets),
                    self._logits(numbers[rows], split, output),
                    epochs=self.epochs[numbers[rows]],
                    task=task,
                    loss=self.loss_name,
                )
                for rows in slices(len(numbers), self._frames_at_once(count(inputs)))
            ]
        )

    def curves(self, epoch: Epochs = None, *, split: Split = "train", output: str | None = None) -> measures.Curves:
        """Mean loss over the examples, and their accuracy, or R² of quantities."""
        numbers = self._select(epoch)
        inputs, targets = self.inputs(split), self.targets(split)
        task = self.task(split=split, output=output)
        return measures.Curves.join(
            [
                measures.curves(
                    self._losses(numbers[rows], inputs, targets),
                    self._logits(numbers[rows], split, output),
                    epochs=self.epochs[numbers[rows]],
                    task=task,
                    loss=self.loss_name,
                )
                for rows in slices(len(numbers), self._frames_at_once(count(inputs)))
            ]
        )

    def milestones(self, *, split: Split = "train", output: str | None = None) -> measures.Milestones:
        """When which examples were right, and the loss plateaus. Raises Unsupported for quantities."""
        return measures.milestones(self.curves(split=split, output=output))

    def confusion(
        self,
        epoch: Epochs = None,
        *,
        label: str | None = None,
        split: Split = "train",
        output: str | None = None,
    ) -> measures.Confusion:
        """Which classes are taken for which; of several labels, having and not having one of them.

        Raises Unsupported for quantities.
        """
        task, logits_of = self._reading(split, output, label)
        return self._joined(
            measures.Confusion,
            epoch,
            split,
            self._head(output).tap,
            lambda values, epochs: measures.confusion(logits_of(values), epochs=epochs, task=task),
        )

    def predictions(
        self,
        epoch: Epochs = None,
        *,
        quantities: Sequence[int] | None = None,
        split: Split = "train",
        output: str | None = None,
    ) -> measures.Predictions:
        """What is predicted and what is true, of the output's units in `quantities`, by default of all.

        Raises Unsupported for classes and labels.
        """
        task = self.task(split=split, output=output)

        def predicted(values: NDArray[Any], epochs: NDArray[Any]) -> measures.Predictions:
            values = values[..., None] if values.ndim == 2 else values
            self._require_one_place(values)
            return measures.predictions(values, epochs=epochs, task=task, quantities=quantities)

        return self._joined(measures.Predictions, epoch, split, Tap(self._output(output)), predicted)

    def loss_by_place(
        self, epoch: Epochs = None, *, examples: Sequence[int] | None = None, split: Split = "train"
    ) -> measures.LossByPlace:
        """Loss of each place of a sequence: of these examples, by default a dozen of all, and of all in the mean.

        Raises Unsupported if the loss has one number for an example, or the places do not lie in a row.
        """
        numbers, inputs = self._select(epoch), self.inputs(split)
        total = count(inputs)
        chosen = evenly(total, 12).tolist() if examples is None else examples
        return measures.LossByPlace.join(
            [
                measures.loss_by_place(
                    self.token_losses(self.epochs[numbers[rows]].tolist(), inputs, self.targets(split)),
                    epochs=self.epochs[numbers[rows]],
                    chosen=chosen,
                    loss=self.loss_name,
                )
                for rows in slices(len(numbers), self._frames_at_once(total))
            ]
        )

    def example_dynamics(
        self,
        epoch: Epochs = None,
        *,
        label: str | None = None,
        split: Split = "train",
        output: str | None = None,
    ) -> measures.ExampleDynamics:
        """How each example of the probe is learnt: when, how often forgotten, how surely; and labels to check.

        Without `epoch` the frames at the ends of epochs count, from the first on: those before and within the first
        epoch tell nothing of an example yet, and further frames within epochs would make some epochs count more.
        Raises MissingFrame if no epoch's end was recorded, Unsupported for quantities.
        """
        task, logits_of = self._reading(split, output, label)
        if not isinstance(task, measures.Classes):
            raise Unsupported(f"run {self.name!r} predicts {', '.join(task.names)}, not classes; see `predictions`")
        numbers = self._ends_of_epochs() if epoch is None else self._select(epoch)
        tap, inputs = self._head(output).tap, self.inputs(split)
        blocks = slices(len(numbers), self._frames_at_once(count(inputs)))
        return measures.example_dynamics(
            (logits_of(self._evaluate([tap], numbers[rows], inputs)[0]) for rows in blocks),
            epochs=self.epochs[numbers],
            targets=task.labels,
            index=self._index(split),
            class_names=task.names,
        )

    def _ends_of_epochs(self) -> NDArray[np.intp]:
        epochs = self.epochs[self._select(None)]
        found = np.flatnonzero((epochs > 0.5) & np.isclose(epochs, epochs.round(), rtol=0, atol=1e-6))
        if len(found) == 0:
            raise MissingFrame(
                f"run {self.name!r} has no frame at the end of an epoch; pass the epochs to look at, as slice(0, 1)"
            )
        return found

    def _index(self, split: Split) -> NDArray[np.intp]:
        """Where the examples of the probe stood in the data that they were drawn from."""
        index = self.run.probe().get(f"{split}/index")
        examples = count(self.inputs(split))
        if index is None or index.shape != (examples,) or index.dtype.kind not in "iu":
            raise DamagedRun(f"the probe of run {self.name!r} does not say where its {examples} examples come from")
        return index

    def _reading(
        self, split: Split, output: str | None, label: str | None = None
    ) -> tuple[Task, Callable[[NDArray[Any]], NDArray[Any]]]:
        """The task of an output, and what makes its logits (frame, example, unit) of the values at its tap.

        Of several labels only one is read.
        """
        task, head = self.task(split=split, output=output), self._head(output)
        units = slice(None)
        if isinstance(task, Labels):
            place = 0 if label is None else task.names.index(label) if label in task.names else -1
            task = task.one(label)
            units = slice(place, place + 1)
        elif label is not None:
            task = self.task(split=split, output=output, label=label)

        def logits(values: NDArray[Any]) -> NDArray[Any]:
            found = scores(head, values)
            self._require_one_place(found)
            return found[..., units]

        return task, logits

    def _require_one_place(self, found: NDArray[Any]) -> None:
        if found.ndim != 3:
            raise Unsupported(
                f"an output of run {self.name!r} has shape {found.shape[2:]} for each example; this view shows one"
                " prediction for an example, `token_losses` the loss of every place"
            )

    def _logits(self, numbers: NDArray[np.intp], split: Split, output: str | None) -> NDArray[Any]:
        found = self._scores(self._head(output), numbers, self.inputs(split))
        self._require_one_place(found)
        return found

    def _joined(
        self,
        kind: type[M],
        epoch: Epochs,
        split: Split,
        tap: Tap,
        measure: Callable[[NDArray[Any], NDArray[Any]], M],
    ) -> M:
        """A measure of the values at a tap and of epochs, a block of frames at a time."""
        numbers, inputs = self._select(epoch), self.inputs(split)
        return kind.join(
            [
                measure(self._evaluate([tap], numbers[rows], inputs)[0], self.epochs[numbers[rows]])
                for rows in slices(len(numbers), self._frames_at_once(count(inputs)))
            ]
        )


def evenly(total: int, most: int) -> NDArray[np.intp]:
    """At most so many of the numbers below a total, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(np.intp))

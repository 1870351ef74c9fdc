"""How every example is learnt: when, whether for good, how surely; and which labels look wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jaxtyping import Bool, Float, Int, Shaped
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ExampleDynamics:
    """What each example went through in training.

    All numbers are taken in inference mode, with the weights at the ends of epochs, and every frame counts equally. The
    papers take theirs in the forward passes of training, while the weights move within an epoch, and with dropout.
    Recorded every tenth epoch only, forgetting that lasts shorter than that is not seen.

    A frame at which an example's logits are not numbers, as in a run that diverged, counts as wrong, and as forgetting
    if the example was right before; it is left out of the means, which are NaN where no frame is left. `lost` counts
    these frames. A logit of minus infinity is that of a probability too small for single precision, and counts as -103.

    - `epochs` of the frames, `right` which examples are right at each: the largest logit is that of the label, the
      first of equal ones.
    - `index`: the number of each example in the data that the run's probe was drawn from.
    - `labels`: the class each example is given; `rather`: the other class of the highest mean probability.
    - `first`, `for_good`: the first epoch at which an example is right, the one from which it stays so; NaN if never.
    - `forgotten`: how often an example that was right is wrong at the next frame; 0 for the unforgettable, infinity for
      those never learnt (Toneva et al., 2019, An empirical study of example forgetting).
    - `margin`: area under the margin, the mean of the label's logit less the largest other one (Pleiss et al., 2020,
      Identifying mislabeled data using the area under the margin ranking). Theirs ends at the first drop of the
      learning rate, for which a part of the frames can be chosen; their threshold needs examples of an extra class in
      training.
    - `confidence`, `variability`, `correctness`: mean and standard deviation of the label's probability, and the share
      of all frames that are right (Swayamdipta et al., 2020, Dataset cartography).
    - `loss`: mean cross-entropy of the label, in nats, whatever loss the network was trained with.
    """

    epochs: Float[np.ndarray, " frame"]
    class_names: tuple[str, ...]
    index: Int[np.ndarray, " example"]
    labels: Int[np.ndarray, " example"]
    rather: Int[np.ndarray, " example"]
    right: Bool[np.ndarray, "frame example"]
    first: Float[np.ndarray, " example"]
    for_good: Float[np.ndarray, " example"]
    forgotten: Float[np.ndarray, " example"]
    margin: Float[np.ndarray, " example"]
    confidence: Float[np.ndarray, " example"]
    variability: Float[np.ndarray, " example"]
    correctness: Float[np.ndarray, " example"]
    loss: Float[np.ndarray, " example"]
    lost: Int[np.ndarray, " example"]

    @cached_property
    def suspicious(self) -> Bool[np.ndarray, " example"]:
        """Examples whose label may be wrong: those of the upper of two groups of mean losses.

        The border is the one that leaves the least variance within the groups (Otsu, 1979). It needs no share of wrong
        labels to be known, and holds for networks that learn wrong labels by heart in the end, whose margins and
        probabilities do not. Nothing is suspicious

        - where two groups explain less than 0.7 of the variance: that is one group with a tail (an exponential
          distribution has 0.65);
        - where the upper group's mean loss is less than three times the lower one's, as in a network that knows little
          yet (losses spread evenly from 0 on have three times, and 0.75 of the variance);
        - in a class of which most lies in the upper group: it is learnt late, whatever its labels.

        Examples on the wrong side of classes that overlap cannot be told from wrong labels. How many planted ones are
        found is in bench/README.md.
        """
        losses = np.sort(self.loss[np.isfinite(self.loss)])
        below = np.arange(1, len(losses))
        none = np.zeros(len(self.loss), bool)
        if len(below) == 0:
            return none
        sums = np.cumsum(losses)
        lower, upper = sums[:-1] / below, (sums[-1] - sums[:-1]) / (len(losses) - below)
        between = below * (len(losses) - below) * (upper - lower) ** 2 / len(losses) ** 2
        border = int(between.argmax())
        if between[border] < 0.7 * losses.var() or upper[border] < 3 * lower[border]:
            return none
        high = self.loss > losses[border]
        late = [label for label in np.unique(self.labels) if high[self.labels == label].mean() > 0.5]
        return high & ~np.isin(self.labels, late)

    def worst(self, count: int = 25) -> Int[np.ndarray, " place"]:
        """Places in the probe of the examples of the highest mean loss, highest first, NaN last."""
        return np.argsort(-self.loss, kind="stable")[:count]

    def order(self) -> Int[np.ndarray, " example"]:
        """Places in the probe in the order of learning: for good, then for the first time, then by the loss."""
        return np.lexsort((self.loss, self.first, self.for_good))

    def table(self, examples: Int[np.ndarray, " place"] | None = None) -> dict[str, NDArray[Any]]:
        """One column per number, one row per example, or per one of these places; `pandas.DataFrame` takes it.

        `why` says in words what is remarkable about an example.
        """
        rows = np.arange(len(self.index)) if examples is None else examples
        names = np.array(self.class_names)
        return {
            "index": self.index[rows],
            "label": names[self.labels[rows]],
            "rather": names[self.rather[rows]],
            "suspicious": self.suspicious[rows],
            "why": np.array([self.why(int(row)) for row in rows], str),
            "first_right": self.first[rows],
            "right_for_good": self.for_good[rows],
            "forgotten": self.forgotten[rows],
            "area_under_margin": self.margin[rows],
            "confidence": self.confidence[rows],
            "variability": self.variability[rows],
            "correctness": self.correctness[rows],
            "mean_loss": self.loss[rows],
            "frames_not_a_number": self.lost[rows],
        }

    def why(self, example: int) -> str:
        """What is remarkable about the example at this place of the probe, in words."""
        if self.lost[example] == len(self.epochs):
            return "logits are not a number"
        forgotten = self.forgotten[example]
        if np.isinf(forgotten):
            history = "never learnt"
        elif np.isnan(self.for_good[example]):
            history = f"right from epoch {self.first[example]:g}, wrong in the end"
        else:
            history = f"learnt at epoch {self.for_good[example]:g}"
        if 0 < forgotten < np.inf:
            history += f", forgotten {'once' if forgotten == 1 else f'{forgotten:.0f} times'}"
        return f"rather {self.class_names[self.rather[example]]}, {history}" if self.suspicious[example] else history


def example_dynamics(
    blocks: Iterable[Float[np.ndarray, "frame example class"]],
    *,
    epochs: Float[np.ndarray, " frame"],
    targets: Shaped[np.ndarray, "example ..."],
    index: Int[np.ndarray, " example"] | None = None,
    class_names: Sequence[str] = (),
) -> ExampleDynamics:
    """Follow the examples through the logits of consecutive blocks of frames, of which one is held at a time.

    One output unit stands for two classes with the logits 0 and z. Targets are labels, or one number for each class of
    which the largest counts. Raises Unsupported for targets that are not classes of these logits.
    """
    frames = chain.from_iterable(blocks)
    first_frame = next(frames)
    examples, classes = _by_class(first_frame).shape
    labels = _labels(targets, classes)
    sums = np.zeros((4, examples))  # of the margin, p, p squared and the loss
    probabilities = np.zeros((examples, classes))
    right = np.empty((len(epochs), examples), bool)
    lost = np.zeros(examples, int)
    everyone: NDArray[Any] = np.arange(examples, dtype=np.intp)
    for frame, values in enumerate(chain([first_frame], frames)):
        logits = _by_class(values)
        finite = np.isfinite(logits).all(axis=1)
        logits[~finite] = 0
        right[frame] = (logits.argmax(axis=1) == labels) & finite
        logarithms = _log_softmax(logits)
        of_label, loss = logits[everyone, labels], -logarithms[everyone, labels]
        logits[everyone, labels] = -np.inf
        sums += np.where(finite, [of_label - logits.max(axis=1), np.exp(-loss), np.exp(-2 * loss), loss], 0)
        probabilities[finite] += np.exp(logarithms[finite])
        lost += ~finite
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN for examples without a finite frame
        margin, confidence, square, loss = sums / (len(epochs) - lost)
    probabilities[everyone, labels] = -1
    ever, last = right.any(axis=0), right[-1]
    lapse = len(epochs) - 1 - (~right[::-1]).argmax(axis=0)  # the last frame that is wrong, where there is one
    since = np.where(right.all(axis=0), 0, np.minimum(lapse + 1, len(epochs) - 1))
    return ExampleDynamics(
        epochs=epochs,
        class_names=_names(class_names, classes),
        index=everyone if index is None else index,
        labels=labels,
        rather=probabilities.argmax(axis=1),
        right=right,
        first=np.where(ever, epochs[right.argmax(axis=0)], np.nan),
        for_good=np.where(last, epochs[since], np.nan),
        forgotten=np.where(ever, (right[:-1] & ~right[1:]).sum(axis=0), np.inf),
        margin=margin,
        confidence=confidence,
        variability=np.sqrt(np.maximum(square - confidence**2, 0)),
        correctness=right.mean(axis=0),
        loss=loss,
        lost=lost,
    )


# The logarithm of the smallest number of single precision.
_LEAST = -103.28


def _by_class(logits: Float[np.ndarray, "example class"]) -> Float[np.ndarray, "example class"]:
    if logits.ndim != 2:
        raise Unsupported(f"the output has shape {logits.shape[1:]} per example; this view shows one class per example")
    values = logits.astype(np.float64)
    if values.shape[1] == 1:
        # 0 and z, shifted so that what grows beyond all bounds is the losing side's.
        values = np.concatenate([-np.maximum(values, 0), np.minimum(values, 0)], axis=1)
    values[np.isneginf(values)] = _LEAST
    return values


def _log_softmax(logits: Float[np.ndarray, "... class"]) -> Float[np.ndarray, "... class"]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _names(given: Sequence[str], classes: int) -> tuple[str, ...]:
    return tuple(given) if len(given) == classes else tuple(map(str, range(classes)))


def _labels(targets: Shaped[np.ndarray, "example ..."], classes: int) -> Int[np.ndarray, " example"]:
    if targets.ndim == 2 and targets.shape[1] == classes:
        return targets.argmax(axis=1)
    if targets.size == len(targets):
        labels = targets.reshape(-1)
        if np.isin(labels, np.arange(classes)).all():
            return labels.astype(int)
    raise Unsupported(
        f"targets of shape {targets.shape} are not labels from 0 to {classes - 1}, or one number for each of these"
        f" {classes} classes; this view shows classification"
    )

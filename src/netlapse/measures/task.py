"""What the outputs of a network say about the examples, and what they should say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, Int, Shaped
    from numpy.typing import NDArray

Link = Literal["sigmoid", "softmax", "identity"]


@dataclass(frozen=True)
class Classes:
    """One class for each example, `labels`; networks give a score to each class, and the highest wins.

    One output unit gives the logit of the second of two classes; the first has the score 0. `names` are those of all
    classes, `link` is what makes probabilities of scores, if anything does. Of equal scores the first class wins;
    scores that are not numbers decide for none.
    """

    labels: Int[np.ndarray, " example"]
    names: tuple[str, ...]
    link: Link = "softmax"

    def scores(self, logits: Float[np.ndarray, "... unit"]) -> Float[np.ndarray, "... class"]:
        """Scores of all classes, of which the softmax are their probabilities, from the output's own."""
        return np.concatenate([np.zeros_like(logits), logits], axis=-1) if logits.shape[-1] == 1 else logits

    def probabilities(self, logits: Float[np.ndarray, "... unit"]) -> Float[np.ndarray, "... class"]:
        """Probability of each class. Raises Unsupported where the network gives none."""
        scores = self.scores(logits)
        if self.link == "identity":
            raise Unsupported("the outputs are scores that nothing makes probabilities of; ask for the losses instead")
        return softmax(scores) if self.link == "softmax" else sigmoid(scores)

    def wrong(self, logits: Float[np.ndarray, "frame example unit"]) -> Bool[np.ndarray, "frame example"]:
        """Where the class with the highest score is not the example's."""
        return predicted(self.scores(logits)) != self.labels


@dataclass(frozen=True)
class Labels:
    """Several labels of which each example has some, `present`; networks give a logit to each.

    A label is predicted where its logit is above 0. An example is wrong if any of its labels is.
    """

    present: Bool[np.ndarray, "example label"]
    names: tuple[str, ...]

    def wrong_labels(self, logits: Float[np.ndarray, "frame example label"]) -> Bool[np.ndarray, "frame example label"]:
        """Which labels are wrong; those of NaN are."""
        return np.where(self.present, ~(logits > 0), ~(logits <= 0))

    def wrong(self, logits: Float[np.ndarray, "frame example label"]) -> Bool[np.ndarray, "frame example"]:
        """Where any label is wrong."""
        return np.any(self.wrong_labels(logits), axis=-1)

    def one(self, label: str | None = None) -> Classes:
        """With and without one of the labels, the first by default. Raises Unsupported for one that is not there."""
        if label is not None and label not in self.names:
            raise Unsupported(f"there is no label {label!r}; there are {', '.join(self.names)}")
        place = 0 if label is None else self.names.index(label)
        return Classes(self.present[:, place].astype(np.intp), (f"not {self.names[place]}", self.names[place]))


@dataclass(frozen=True)
class Quantities:
    """One number or several for each example, `values`, that the outputs should equal, and their `names`."""

    values: Float[np.ndarray, "example quantity"]
    names: tuple[str, ...]


# What the only quantity is called that nobody gave a name.
UNNAMED = ("value",)

Task = Classes | Labels | Quantities


def task_of(
    targets: Shaped[np.ndarray, "example ..."],
    *,
    link: Link,
    units: int,
    names: Sequence[str] | None = None,
) -> Task:
    """What the targets (example,) or (example, ...) of an output of so many units ask for.

    `link` is what makes probabilities of the output's scores. Targets of one integer for each example are classes where
    the output has several units, or one unit of which a probability is made and the integers are 0 and 1. Rows that
    sum to one are classes too, named by their largest entry. Rows of zeros and ones are labels where each has a
    probability of its own. Anything else is a quantity. Raises Unsupported where targets and outputs do not fit.
    """
    rows = targets.reshape(len(targets), -1)
    width = rows.shape[1]
    whole = bool((rows == np.round(rows)).all())
    if width == 1 and link != "identity" and units == 1:
        _require(
            np.isin(rows, (0, 1)).all(),
            f"targets hold {_some(rows)} for one output unit with a probability",
            "labels 0 and 1",
        )
        return Classes(rows[:, 0].astype(np.intp), _names(names, 2, ("negative", "positive")))
    if width == 1 and units > 1 and whole:
        _require(
            bool(((rows >= 0) & (rows < units)).all()),
            f"targets hold {_some(rows)} for {units} output units",
            f"labels from 0 to {units - 1}",
        )
        return Classes(rows[:, 0].astype(np.intp), _names(names, units), link)
    if width == units > 1 and link != "identity":
        binary = bool(np.isin(rows, (0, 1)).all())
        if link == "sigmoid" and binary and not (rows.sum(axis=1) == 1).all():
            return Labels(rows == 1, _names(names, units))
        if (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-3):
            return Classes(rows.argmax(axis=1), _names(names, units), link)
        if link == "sigmoid":
            return Labels(rows > 0.5, _names(names, units))
    _require(width == units, f"targets have {width} numbers for each example and the output {units} units", "as many")
    found = tuple(names or ()) if names and len(names) == units else ()
    return Quantities(
        rows.astype(float), found or (UNNAMED if units == 1 else tuple(f"value {k}" for k in range(1, units + 1)))
    )


def mistakes(task: Task, logits: Float[np.ndarray, "frame example unit"]) -> Bool[np.ndarray, "frame example"] | None:
    """Which examples are wrong; None where the network predicts quantities."""
    return None if isinstance(task, Quantities) else task.wrong(logits)


def predicted(scores: Float[np.ndarray, "... class"]) -> Int[np.ndarray, ...]:
    """The class with the highest score, the first of equals; -1 where a score is not a number."""
    found: NDArray[Any] = scores.argmax(axis=-1)
    return np.where(np.isnan(scores).any(axis=-1), -1, found)


def softmax(scores: Float[np.ndarray, "... class"]) -> Float[np.ndarray, "... class"]:
    """Probabilities of classes that exclude one another."""
    with np.errstate(invalid="ignore"):  # infinity less infinity: the weights have diverged
        shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)


def sigmoid(logits: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """The logistic function."""
    # Its two branches, each where it cannot overflow.
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def leads(scores: Float[np.ndarray, "... class"]) -> Float[np.ndarray, "... class"]:
    """By how much each class' score exceeds the best of the others: above 0 only for the class that wins."""
    best = scores.argmax(axis=-1)[..., None]
    top = np.take_along_axis(scores, best, axis=-1)
    rest = np.array(scores)
    np.put_along_axis(rest, best, -np.inf, axis=-1)
    found = scores - top
    np.put_along_axis(found, best, top - rest.max(axis=-1, keepdims=True), axis=-1)
    return found


def _names(given: Sequence[str] | None, count: int, default: Sequence[str] | None = None) -> tuple[str, ...]:
    if given and len(given) == count:
        return tuple(given)
    return tuple(default or (str(number) for number in range(count)))


def _require(holds: Any, found: str, wanted: str) -> None:
    if not holds:
        raise Unsupported(f"{found}; this view takes {wanted}")


def _some(rows: NDArray[Any]) -> str:
    found = np.unique(rows)
    return "the values " + ", ".join(f"{value:g}" for value in found[:6]) + (", ..." if len(found) > 6 else "")

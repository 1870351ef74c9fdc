"""`fit`, recorded."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from ..errors import BadProbe, Unsupported
from ..record import PROBE_SIZE, Keep, Loop, Probe, Recording
from .architecture import KINDS, kind_of, weights_of
from .describe import batches_of, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from ..record import Description, Every
    from ..store import Exist

    Examples = tuple[ArrayLike, ArrayLike]

_pipeline: Any = importlib.import_module("sklearn.pipeline")
_sparse: Any = importlib.import_module("scipy.sparse")


def record(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    path: str | Path,
    *,
    probe: Examples | None = None,
    every: Every = "epoch",
    validation: Examples | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    exist: Exist = "error",
    class_names: Sequence[str] | None = None,
    probe_size: int = PROBE_SIZE,
    scalars: Literal["frame", "step"] = "frame",
    budget: int | str | None = None,
    dtype: Literal["float16", "bfloat16"] | None = None,
    compressed: bool = False,
) -> Any:
    """Fit an MLPClassifier or MLPRegressor with `fit` itself, and record it into a run. Returns the estimator.

    Kept are the weights, the loss and, with early stopping, the validation score, before training and after each epoch.
    Steps are batches. The last frame is the last state of the training, before early stopping puts earlier weights in
    its place. With `warm_start`, and `exist="resume"`, several calls make one run.

    Labels other than 0, 1, ... are encoded in the order of `classes_`, and name the classes.

    Parameters
    ----------
    estimator
        One with solver "sgd" or "adam".
    X, y
        Dense examples, as `fit` takes them.
    path
        Folder of the run; it is created.
    probe
        Inputs and targets that the run is looked at with, (X, y) unless given. More than `probe_size` examples are
        sampled: with a fixed seed, every class in its proportion.
    validation
        A second probe of held-out examples.
    hyperparameters
        Entries to add to the estimator's own.
    class_names
        Names of the classes in the order of `classes_`.
    every, exist, scalars, budget, dtype, compressed
        As for `netlapse.keras.Recorder`.

    Raises what `fit` raises, Unsupported for other estimators and sparse examples, RunError for a path that cannot be
    recorded to, and BadProbe for a probe that does not fit.
    """
    _check(estimator, X)
    classes = _classes(estimator, y)
    if class_names is None and classes is not None and not np.array_equal(classes, np.arange(len(classes))):
        class_names = [str(label) for label in classes]
    seen = (np.asarray(X), np.asarray(y)) if probe is None else probe
    recording = Recording(
        path,
        probe=_probe(seen, "probe", probe_size, X, classes),
        validation=_probe(validation, "validation", probe_size, X, classes) if validation is not None else None,
        every=every,
        exist=exist,
        class_names=class_names,
        keep=Keep(scalars, budget, dtype, compressed),
    )
    examples = len(np.asarray(X))
    loop = Loop(recording, steps_per_epoch=batches_of(estimator, examples)[1] or None)
    fit = _Fit(estimator, loop, lambda: describe(estimator, examples, hyperparameters or {}))
    try:
        fit(X, y)
    except BaseException:
        recording.close("interrupted")
        raise
    if fit.within_epoch:
        # Ctrl-C, on which `fit` returns as if it were done.
        recording.close("interrupted")
    else:
        loop.end(fit.weights)
    return estimator


class _Fit:
    """`fit`, which tells a loop what it does.

    It has no callbacks, and `partial_fit` neither its order of batches nor its early stopping. So three of the
    estimator's methods are watched: `fit` calls one when the weights are initialised, one for each batch before its
    update, and one after each epoch.
    """

    def __init__(self, estimator: Any, loop: Loop, description: Callable[[], Description]) -> None:
        self._estimator, self._loop, self._description = estimator, loop, description
        recording = loop.recording
        self._by_step = recording.schedule.by_step or recording.keep.scalars == "step"
        self._watched = {
            "_fit_stochastic": self._train,
            "_backprop": self._batch,
            "_update_no_improvement_count": self._epoch,
        }
        if missing := [name for name in self._watched if not hasattr(estimator, name)]:
            raise Unsupported(
                f"scikit-learn {version('scikit-learn')} fits its networks in another way ({', '.join(missing)} is"
                " gone); install one that netlapse was tested with, such as 1.9"
            )
        self._methods = {name: getattr(estimator, name) for name in self._watched}
        self._arrays: dict[str, NDArray[Any]] = {}
        # Of the batch whose update is under way.
        self._loss: float | None = None
        self.within_epoch = False

    def __call__(self, X: ArrayLike, y: ArrayLike) -> None:
        vars(self._estimator).update(self._watched)
        try:
            self._estimator.fit(X, y)
        finally:
            for name in self._watched:
                del vars(self._estimator)[name]

    def weights(self) -> dict[str, NDArray[Any]]:
        """The arrays that the training updates in place. In the end, early stopping gives the estimator others."""
        return self._arrays

    def _train(self, *args: Any) -> None:
        self._arrays = weights_of(self._estimator)
        rate = {"learning_rate": float(self._estimator.learning_rate_init)}
        self._loop.begin(self._description, self.weights, settings=rate)
        self._methods["_fit_stochastic"](*args)

    def _batch(self, *args: Any) -> Any:
        self._settle()
        self.within_epoch = True
        found = self._methods["_backprop"](*args)
        self._loss = found[0]
        return found

    def _settle(self) -> None:
        """The update is done: the next batch begins, or the epoch ends."""
        if self._by_step and self._loss is not None:
            self._loop.step(self.weights, {"loss": self._loss}, self._settings())
        self._loss = None

    def _epoch(self, *args: Any) -> None:
        self._settle()
        self._methods["_update_no_improvement_count"](*args)
        logged = {**self._settings(), "loss": self._estimator.loss_curve_[-1]}
        if self._estimator.early_stopping:
            score = "val_accuracy" if kind_of(self._estimator) == "MLPClassifier" else "val_r2"
            logged[score] = self._estimator.validation_scores_[-1]
        self._loop.epoch(self.weights, logged)
        self.within_epoch = False

    def _settings(self) -> dict[str, float]:
        # Adam's own is another at each step, with its corrections in it.
        adapts = self._estimator.solver == "sgd"
        rate = self._estimator._optimizer.learning_rate if adapts else self._estimator.learning_rate_init
        return {"learning_rate": float(rate)}


def _check(estimator: Any, X: Any) -> None:
    """Raise Unsupported unless `fit` would train a network epoch by epoch."""
    if isinstance(estimator, _pipeline.Pipeline):
        raise Unsupported(
            "a pipeline's network sees transformed examples: transform them first, and record the network itself:"
            " record(pipeline[-1], pipeline[:-1].fit_transform(X, y), y, path)"
        )
    if kind_of(estimator) is None:
        raise Unsupported(f"{type(estimator).__name__} is no network; pass an {' or an '.join(KINDS)}")
    if estimator.solver not in ("sgd", "adam"):
        raise Unsupported(
            f'solver={estimator.solver!r} has no epochs that could be recorded; choose solver="adam" or "sgd"'
        )
    if _sparse.issparse(X):
        raise Unsupported("sparse examples cannot be recorded; pass X.toarray()")
    estimator._validate_params()


def _classes(estimator: Any, y: Any) -> NDArray[Any] | None:
    """The labels in the order in which scikit-learn numbers them; None where targets are no single labels."""
    targets = np.asarray(y)
    if kind_of(estimator) != "MLPClassifier" or targets.size != len(targets):
        return None
    return np.unique(targets)


def _probe(data: Any, name: str, size: int, X: Any, classes: NDArray[Any] | None) -> Probe:
    pair: Any = data
    if classes is not None and isinstance(pair, tuple) and len(cast("tuple[Any, ...]", pair)) == 2:
        inputs, labels = cast("tuple[Any, Any]", pair)
        pair = inputs, _encoded(np.asarray(labels), classes, name)
    found = Probe.of(cast("Any", pair), name, size)
    shape, wanted = np.shape(cast("Any", found.inputs))[1:], np.shape(X)[1:]
    if shape != wanted:
        raise BadProbe(f"{name} inputs have shape {shape} per example; X has {wanted}")
    return found


def _encoded(labels: NDArray[Any], classes: NDArray[Any], name: str) -> NDArray[np.int64]:
    stray = np.setdiff1d(labels, classes)
    if len(stray):
        raise BadProbe(f'{name} targets hold "{stray[0]}", which is no class of y; {name} needs labels of y')
    return np.searchsorted(classes, labels.reshape(-1))

"""Recordings of deepreplay, netlapse's forerunner, made into runs.

deepreplay's callback kept, in one HDF5 file, a group for each training: the probe ("inputs", "targets"), the weights
of each layer before training and after each epoch ("layer0/weights0", ...), what Keras 2 logged after each epoch,
and some settings as attributes. Beside it lies the model as Keras 2 saved it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RunError, Unsupported
from .keras.check import check_model, check_probe
from .keras.describe import activation_name, describe, parameters_of
from .keras.legacy import Keras2Model, rebuild_keras2, variables_of
from .record import Probe
from .store import Frame, Writer, is_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from .record import Description
    from .store import Status

try:
    h5py: Any = importlib.import_module("h5py")
except ImportError as error:
    raise ImportError('reading HDF5 files needs h5py; install it with `pip install "netlapse[import]"`') from error

# Today's words for what Keras 2 logged, so that old and new runs share their curves.
_SCALARS = {"lr": "learning_rate", "acc": "accuracy", "val_acc": "val_accuracy"}


@dataclass(frozen=True)
class _Training:
    """A group of a recording. `weights`, by layer, and `logged`, by name, have an axis of epochs first."""

    name: str
    inputs: NDArray[Any]
    targets: NDArray[Any]
    weights: list[list[NDArray[np.float32]]]
    logged: dict[str, NDArray[np.float32]]
    epochs: int
    batches: int
    batch_size: int
    activations: list[str]
    created: datetime | None


def import_deepreplay(path: str | Path, out: str | Path | None = None, model: str | Path | None = None) -> list[Path]:
    """Make runs of a recording of deepreplay, one for each training in it; returns their folders.

    They replay as if netlapse had recorded them: weights to the bit, every example of the probe, what Keras logged.
    Steps are counted in batches; the times of the frames are not known, NaN. Epochs that the training never reached,
    for which deepreplay left zeros, are left out.

    Parameters
    ----------
    path
        The HDF5 file that deepreplay's `ReplayData` wrote.
    out
        Folder of the run; named after the file, in the working directory, by default. If there are several trainings
        in the file, folder of their runs, each named after its group.
    model
        The model's HDF5 file. By default "<group>_model.h5" beside the recording, as deepreplay named it, or
        "<file>_model.h5".

    Raises RunError for files that are missing, truncated, something else or do not belong together, and Unsupported for
    a model that Keras 3 cannot rebuild. Nothing in the files is executed.
    """
    path = Path(path)
    trainings = _read_trainings(path)
    out = Path(path.stem if out is None else out)
    runs = {training.name: out if len(trainings) == 1 else out / training.name for training in trainings}
    for run in runs.values():
        if is_run(run):
            raise RunError(f"{run} holds a run already; name another folder with --out (out=), or remove it")
        Writer.refuse_existing(run)
    # All are checked before the first is written.
    contents = [
        _content(training, _model_file(path, training.name) if model is None else Path(model)) for training in trainings
    ]
    for training, content in zip(trainings, contents, strict=True):
        _write(runs[training.name], training, *content)
    return list(runs.values())


def _read_trainings(path: Path) -> list[_Training]:
    if not path.is_file():
        raise RunError(f"{path} is not there; name the HDF5 file that deepreplay's ReplayData wrote")
    try:
        with h5py.File(path, "r") as file:
            groups = [group for group in file.values() if {"n_epochs", "n_layers"} <= set(group.attrs)]
            trainings, found = [_training(group) for group in groups], ", ".join(file) or "nothing"
    # h5py's errors, whatever is wrong: a file cut short, another format, an entry that is missing.
    except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
        raise RunError(
            f"{path} cannot be read as a recording of deepreplay ({error}); restore it from a copy"
        ) from error
    if not trainings:
        raise RunError(
            f"{path} holds no recording of deepreplay but {found}; name the file that its ReplayData wrote (the model's"
            " file goes with it as --model)"
        )
    return trainings


def _training(group: Any) -> _Training:
    attributes = group.attrs
    entries: dict[str, Any] = dict(group)
    layers = [group[f"layer{number}"] for number in range(attributes["n_layers"])]
    # Seconds since 1970 at which HDF5 made the dataset; 0 where it did not keep them.
    made = h5py.h5g.get_objinfo(group["inputs"].id).mtime
    return _Training(
        name=group.name.strip("/"),
        inputs=group["inputs"][()],
        targets=group["targets"][()],
        weights=[[layer[f"weights{place}"][()] for place in range(len(layer))] for layer in layers],
        logged={
            _SCALARS.get(name, name): entry[()]
            for name, entry in entries.items()
            if isinstance(entry, h5py.Dataset) and name not in ("inputs", "targets")
        },
        epochs=int(attributes["n_epochs"]),
        batches=int(attributes["n_batches"]),
        batch_size=int(attributes["batch_size"]),
        activations=[_text(name) for name in attributes["activation_functions"]],
        created=datetime.fromtimestamp(made, UTC) if made else None,
    )


def _model_file(path: Path, training: str) -> Path:
    names = dict.fromkeys((f"{training}_model.h5", f"{path.stem}_model.h5"))
    for name in names:
        if path.with_name(name).is_file():
            return path.with_name(name)
    raise RunError(f"there is no {' or '.join(names)} beside {path}; name the file of the model with --model (model=)")


def _read_model(path: Path) -> tuple[Keras2Model, str]:
    """The model, not yet with weights, and the software that it was trained with."""
    try:
        with h5py.File(path, "r") as file:
            saved = {name: _text(value) for name, value in file.attrs.items()}
    except OSError as error:
        raise RunError(
            f"{path} cannot be read as a model that Keras 2 saved ({error}); restore it from a copy"
        ) from error
    if "model_config" not in saved:
        raise RunError(f"{path} holds no model of Keras 2; name the file of the recorded model with --model (model=)")
    try:
        model = rebuild_keras2(saved["model_config"], saved.get("training_config"))
        check_model(model.model)
        # Theano turned the kernels of its convolutions around.
        if saved.get("backend") == "theano" and any("Conv" in type(layer).__name__ for layer in model.layers):
            raise Unsupported("convolutions of the Theano backend are not supported")
    except Unsupported as error:
        raise Unsupported(f"the model in {path} cannot be replayed: {error}") from error
    return model, f"on Keras {saved.get('keras_version', '?')} with {saved.get('backend', '?')}"


def _content(training: _Training, model_file: Path) -> tuple[Probe, Description, dict[str, NDArray[np.float32]]]:
    """What goes into a run, with the weights, (epoch, ...), by parameter."""
    rebuilt, software = _read_model(model_file)
    weights = _by_parameter(training, rebuilt, model_file)
    probe = Probe.of((training.inputs, training.targets), "the recording's probe", len(training.inputs))
    check_probe(rebuilt.model, probe, "the recording's probe")
    fit = {"batch_size": training.batch_size, "epochs": training.epochs}
    found = describe(rebuilt.model, rebuilt.unknown, fit)
    # A seed would be this process' own, not that of the training.
    settings = {name: value for name, value in found.hyperparameters.items() if name != "seed"}
    versions = {**found.versions, "deepreplay": software}
    return probe, replace(found, hyperparameters=settings, versions=versions), weights


def _write(
    out: Path, training: _Training, probe: Probe, description: Description, weights: dict[str, NDArray[np.float32]]
) -> None:
    manifest = description.manifest(
        out.resolve().name,
        training.created or datetime.now(UTC),
        {"examples": len(probe.index), "drawn_from": probe.total},
    )
    writer = Writer.create(out, manifest, probe=probe.arrays("train"), model=description.model_files)
    status: Status = "interrupted"
    try:
        for frame in _frames(training, weights):
            writer.append(frame)
        status = "complete"
    finally:
        writer.close(status)


def _by_parameter(training: _Training, rebuilt: Keras2Model, model_file: Path) -> dict[str, NDArray[np.float32]]:
    """The recorded weights, (epoch, ...), by parameter. Raises RunError if they are not of this model."""
    names = {id(variable): name for name, (_, variable) in parameters_of(rebuilt.model).items()}
    variables = [variables_of(layer) for layer in rebuilt.layers]
    wanted = [[(training.epochs + 1, *variable.shape) for variable in each] for each in variables]
    found = [[array.shape for array in each] for each in training.weights]
    activations = [activation_name(layer) for layer in rebuilt.layers]
    if found != wanted or any(a and b and a != b for a, b in zip(activations, training.activations, strict=False)):
        raise RunError(
            f"{model_file} is not the model of recording {training.name!r}: its layers are"
            f" {_summary(wanted, activations)}, but {_summary(found, training.activations)} were recorded; name the"
            " file of the recorded model with --model (model=)"
        )
    pairs = zip(variables, training.weights, strict=True)
    return {names[id(v)]: array for each, arrays in pairs for v, array in zip(each, arrays, strict=True)}


def _summary(shapes: list[list[tuple[int, ...]]], activations: list[Any]) -> str:
    layers = zip(shapes, activations, strict=False)
    return ", ".join(f"{[shape[1:] for shape in each]} {activation or ''}".rstrip() for each, activation in layers)


def _frames(training: _Training, weights: dict[str, NDArray[np.float32]]) -> Iterator[Frame]:
    for epoch in range(training.epochs + 1):
        state = {name: array[epoch, ...] for name, array in weights.items()}
        logged = {name: float(values[epoch - 1]) for name, values in training.logged.items()} if epoch else {}
        # deepreplay makes room for all epochs, in zeros; a training that stops early leaves the rest.
        if epoch == 0 or logged.get("loss") or any(array.any() for array in state.values()):
            yield Frame(epoch * training.batches, epoch, nan, state, logged)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

"""netlapse's store and what people use in its place, behind one face: written frame by frame, read in four ways."""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .store import Workload

    Weights = dict[str, np.ndarray]

# What is read in one go when everything is read: no training need fit into memory.
BLOCK_BYTES = 256 * 2**20


class Store(ABC):
    """A way to keep a training in a folder. An object either writes (`begin`, `append`, `close`) or reads (`open`).

    `durable` says whether a power cut after `close` takes nothing; if not, the benchmark syncs the disk after it.
    """

    durable = False

    def __init__(self, path: Path, workload: Workload) -> None:
        self.path = path
        self.workload = workload

    def begin(self) -> None:
        """Make what is there before the first frame."""
        self.path.mkdir()

    def adopt(self, weights: Weights) -> Any:
        """The weights as a training has them. Not counted: a training has them already."""
        return weights

    @abstractmethod
    def append(self, number: int, weights: Any, scalars: dict[str, float]) -> None:
        """Store a frame."""

    def close(self) -> None:  # noqa: B027 - most have nothing to finish
        """Finish what is still to be written."""

    @abstractmethod
    def open(self) -> int:
        """Open what was written, as if for the first time. Returns the number of frames."""

    @abstractmethod
    def frame(self, number: int) -> Weights:
        """All parameters of one frame."""

    @abstractmethod
    def parameter(self, name: str) -> list[np.ndarray] | np.ndarray:
        """One parameter at all frames."""

    @abstractmethod
    def everything(self) -> Iterator[Any]:
        """All parameters of all frames in pieces, in the order that suits the store."""

    def _blocks(self) -> Iterator[tuple[str, slice]]:
        """Parameters, and as many of their frames as are read in one go."""
        for name, shape in self.workload.shapes.items():
            count = 1
            for size in shape:
                count *= size
            rows = max(1, BLOCK_BYTES // (4 * count))
            for low in range(0, self.workload.frames, rows):
                yield name, slice(low, low + rows)


class Netlapse(Store):
    """A run, through the public face of the room `store`. Every frame is checksummed, and durable a second later."""

    durable = True

    def __init__(self, path: Path, workload: Workload) -> None:
        super().__init__(path, workload)
        self._netlapse = importlib.import_module("netlapse.store")

    def begin(self) -> None:
        """Create the run."""
        netlapse = self._netlapse
        names = dict.fromkeys(name.rpartition("/")[0] for name in self.workload.shapes)
        manifest = netlapse.Manifest(
            id="0" * 32,
            name=self.path.name,
            created="2026-01-01T00:00:00+00:00",
            status="recording",
            netlapse="0",
            framework="numpy",
            backend="numpy",
            versions={},
            hyperparameters={},
            layers=tuple(netlapse.Layer(name, "Dense") for name in names),
            parameters=tuple(
                netlapse.Parameter(name, shape, "float32", True, name.rpartition("/")[0])
                for name, shape in self.workload.shapes.items()
            ),
            model={},
            probe={"examples": 1, "drawn_from": 1},
            schedule="step",
        )
        probe = {"train/inputs": np.zeros((1, 2), np.float32), "train/targets": np.zeros(1), "train/index": np.zeros(1)}
        self._writer = netlapse.Writer.create(self.path, manifest, probe=probe, model={})

    def append(self, number: int, weights: Weights, scalars: dict[str, float]) -> None:
        """Give the frame to the writer."""
        self._writer.append(self._netlapse.Frame(number, number / 125, float(number), weights, scalars))

    def close(self) -> None:
        """Close the run."""
        self._writer.close()

    def open(self) -> int:
        """Open the run."""
        self._run = self._netlapse.Run(self.path)
        return len(self._run)

    def frame(self, number: int) -> Weights:
        """All parameters of one frame."""
        return {name: self._run.weights(name, [number])[0] for name in self.workload.shapes}

    def parameter(self, name: str) -> np.ndarray:
        """One parameter at all frames."""
        return self._run.weights(name)

    def everything(self) -> Iterator[np.ndarray]:
        """Parameter by parameter."""
        return (self._run.weights(name, frames) for name, frames in self._blocks())


class HDF5(Store):
    """As deepreplay writes: one file, a data set of fixed size per parameter, the frame first, and one per scalar."""

    def __init__(self, path: Path, workload: Workload) -> None:
        super().__init__(path, workload)
        self._h5py = importlib.import_module("h5py")

    def begin(self) -> None:
        """Create the data sets, of the final number of frames."""
        self._file = self._h5py.File(self.path, "w")
        group = self._file.create_group("training")
        for name, shape in self.workload.shapes.items():
            group.create_dataset(name, shape=(self.workload.frames, *shape), dtype="f")
        for name in self.workload.scalars(0):
            group.create_dataset(name, shape=(self.workload.frames,), dtype="f")
        self._group = group

    def append(self, number: int, weights: Weights, scalars: dict[str, float]) -> None:
        """Set one row of every data set."""
        for name, value in (*weights.items(), *scalars.items()):
            self._group[name][number] = value

    def close(self) -> None:
        """Close the file; nothing syncs it."""
        self._file.close()

    def open(self) -> int:
        """Open the file."""
        self._file = self._h5py.File(self.path, "r")
        self._group = self._file["training"]
        return len(self._group["loss"])

    def frame(self, number: int) -> Weights:
        """One row of every data set of weights."""
        return {name: self._group[name][number] for name in self.workload.shapes}

    def parameter(self, name: str) -> np.ndarray:
        """One data set."""
        return self._group[name][:]

    def everything(self) -> Iterator[np.ndarray]:
        """Data set by data set."""
        return (self._group[name][frames] for name, frames in self._blocks())


class FlushedHDF5(HDF5):
    """The same, flushed after every frame: a killed process loses nothing then, a power cut still may."""

    def append(self, number: int, weights: Weights, scalars: dict[str, float]) -> None:
        """Set one row of every data set, and hand the file to the system."""
        super().append(number, weights, scalars)
        self._file.flush()


class Torch(Store):
    """`torch.save` to a file per frame."""

    def __init__(self, path: Path, workload: Workload) -> None:
        super().__init__(path, workload)
        self._torch = importlib.import_module("torch")

    def adopt(self, weights: Weights) -> Any:
        """As tensors; nothing is copied."""
        return {name: self._torch.from_numpy(array) for name, array in weights.items()}

    def append(self, number: int, weights: Any, scalars: dict[str, float]) -> None:
        """Save a file."""
        self._torch.save({"weights": weights, "scalars": scalars}, self.path / f"{number:08d}.pt")

    def open(self) -> int:
        """List the folder."""
        self._files = sorted(self.path.iterdir())
        return len(self._files)

    def frame(self, number: int) -> Weights:
        """Load a file."""
        return {name: tensor.numpy() for name, tensor in self._torch.load(self._files[number])["weights"].items()}

    def parameter(self, name: str) -> list[np.ndarray]:
        """Map every file into memory, and copy from it what is asked for; from small files, all is read faster."""
        mapped = self.workload.nbytes > 2**20
        return [self._torch.load(file, mmap=mapped)["weights"][name].numpy().copy() for file in self._files]

    def everything(self) -> Iterator[Weights]:
        """File by file."""
        return (self.frame(number) for number in range(len(self._files)))


class SyncedTorch(Torch):
    """The same, every file and its name made durable: what netlapse promises."""

    durable = True

    def append(self, number: int, weights: Any, scalars: dict[str, float]) -> None:
        """Save a file and sync it and its folder."""
        with (self.path / f"{number:08d}.pt").open("wb") as file:
            self._torch.save({"weights": weights, "scalars": scalars}, file)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.path, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


class Orbax(Store):
    """Orbax's CheckpointManager as it comes: one checkpoint per frame, written in the background, Zarr in OCDBT."""

    def __init__(self, path: Path, workload: Workload) -> None:
        super().__init__(path, workload)
        self._orbax = importlib.import_module("orbax.checkpoint")
        importlib.import_module("jax").devices()  # so that the first checkpoint does not start JAX

    def begin(self) -> None:
        """Make the manager."""
        self._manager = self._orbax.CheckpointManager(self.path)

    def append(self, number: int, weights: Weights, scalars: dict[str, float]) -> None:
        """Save a checkpoint; this waits for the one before."""
        self._manager.save(number, args=self._orbax.args.PyTreeSave(weights), custom_metadata=scalars)

    def close(self) -> None:
        """Wait for the last checkpoint."""
        self._manager.close()

    def open(self) -> int:
        """Make a manager, which lists the folder."""
        self._manager = self._orbax.CheckpointManager(self.path)
        return len(self._manager.all_steps())

    def frame(self, number: int) -> Weights:
        """Restore a checkpoint."""
        return self._manager.restore(number, args=self._orbax.args.PyTreeRestore())

    def parameter(self, name: str) -> list[np.ndarray]:
        """Restore one array of every checkpoint."""
        kind = self._orbax.RestoreArgs(restore_type=np.ndarray)
        part = self._orbax.args.PyTreeRestore(item={name: 0}, restore_args={name: kind}, partial_restore=True)
        return [self._manager.restore(number, args=part)[name] for number in self._manager.all_steps()]

    def everything(self) -> Iterator[Weights]:
        """Checkpoint by checkpoint."""
        return (self.frame(number) for number in self._manager.all_steps())


class Keras(Store):
    """`model.save` to a `.keras` file per frame. It has no place for scalars."""

    def __init__(self, path: Path, workload: Workload) -> None:
        super().__init__(path, workload)
        keras = importlib.import_module("keras")

        @keras.saving.register_keras_serializable("bench")
        class Holder(keras.layers.Layer):
            """A layer that has weights and leaves its inputs as they are: saving does not ask what it computes."""

            def __init__(self, shapes, **settings):
                super().__init__(**settings)
                self.shapes = shapes
                for name, shape in shapes.items():
                    self.add_weight(name=name, shape=tuple(shape), initializer="zeros")

            def call(self, inputs):
                return inputs

            def get_config(self):
                return {**super().get_config(), "shapes": self.shapes}

        layers: dict[str, dict[str, tuple[int, ...]]] = {}
        for name, shape in workload.shapes.items():
            layer, _, variable = name.rpartition("/")
            layers.setdefault(layer, {})[variable] = shape
        self._load = keras.saving.load_model
        self._model = keras.Sequential(
            [keras.Input((1,)), *(Holder(shapes, name=name) for name, shapes in layers.items())]
        )

    def adopt(self, weights: Weights) -> None:
        """Put the weights into the model."""
        for name, variable in _variables(self._model).items():
            variable.assign(weights[name])

    def append(self, number: int, weights: None, scalars: dict[str, float]) -> None:
        """Save the model."""
        self._model.save(self.path / f"{number:08d}.keras")

    def open(self) -> int:
        """List the folder."""
        self._files = sorted(self.path.iterdir())
        return len(self._files)

    def frame(self, number: int) -> Weights:
        """Load a model."""
        return {name: variable.numpy() for name, variable in _variables(self._load(self._files[number])).items()}

    def parameter(self, name: str) -> list[np.ndarray]:
        """Load every model."""
        return [_variables(self._load(file))[name].numpy() for file in self._files]

    def everything(self) -> Iterator[Weights]:
        """Model by model."""
        return (self.frame(number) for number in range(len(self._files)))


def _variables(model: Any) -> dict[str, Any]:
    return {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}


STORES: dict[str, type[Store]] = {
    "netlapse": Netlapse,
    "HDF5": HDF5,
    "HDF5 flushed": FlushedHDF5,
    "torch.save": Torch,
    "torch.save fsync": SyncedTorch,
    "Orbax": Orbax,
    ".keras": Keras,
}

"""What the runs of this harness hold: every bit follows from the seed of the run and the step, so all can check it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from netlapse.store import Frame, Layer, Manifest, Parameter, Run, Writer

if TYPE_CHECKING:
    from pathlib import Path

# From the article's network to frames that fill a segment by themselves.
NETWORKS = {
    "9 floats": {"h/kernel": ((2, 2), "float32"), "h/bias": ((2,), "float32"), "o/kernel": ((3,), "float32")},
    "40 kB": {"h/kernel": ((64, 64), "float64"), "h/bias": ((1791,), "float32"), "seed": ((), "int64")},
    "700 kB": {"h/kernel": ((256, 680), "float32"), "h/bias": ((680,), "float16")},
    "4 MB": {"h/kernel": ((1000, 1000), "float32"), "h/bias": ((1000,), "float32")},
}
BLOCK_BYTES = 16 * 2**20


def parameters(network: str) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name, shape, dtype, trainable=True, layer=name.split("/")[0])
        for name, (shape, dtype) in NETWORKS[network].items()
    )


def weights(seed: int, steps: np.ndarray, parameter: Parameter) -> np.ndarray:
    """One parameter at these steps, as (step, ...): bits of all kinds, NaN and infinity among them (SplitMix64)."""
    dtype = np.dtype(parameter.dtype)
    size = int(np.prod(parameter.shape))
    words = np.arange(-(-size * dtype.itemsize // 8), dtype=np.uint64)
    name = np.frombuffer(parameter.name.encode(), np.uint8).astype(np.uint64)
    start = np.uint64(seed) ^ (name * (np.arange(len(name), dtype=np.uint64) + np.uint64(0x9E37))).sum()
    z = (np.array(steps, np.uint64) * np.uint64(0xD1342543DE82EF95))[:, None] + words * np.uint64(0x9E3779B97F4A7C15)
    z ^= start << np.uint64(20)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z.view(dtype)[:, :size].reshape(len(steps), *parameter.shape)


def scalars(step: int) -> dict[str, float]:
    return {"loss": 1 / (step + 1)} | ({"val_loss": step / 3} if step % 3 == 0 else {})


def frame(seed: int, step: int, network: str) -> Frame:
    values = {p.name: weights(seed, np.array([step]), p)[0] for p in parameters(network)}
    return Frame(step, step / 4, step / 8, values, scalars(step))


def manifest(seed: int, network: str) -> Manifest:
    return Manifest(
        id=str(seed),
        name=network,
        created="2026-01-01T00:00:00+00:00",
        status="recording",
        netlapse="0.1.0",
        framework="numpy",
        backend="numpy",
        versions={},
        hyperparameters={"learning_rate": 0.1},
        layers=(Layer("h", "Dense", 3, "relu"),),
        parameters=parameters(network),
        model={"architecture": "net.json"},
        probe={"examples": 4, "drawn_from": 9},
        schedule="step",
    )


def probe(seed: int) -> dict[str, np.ndarray]:
    inputs = weights(seed, np.arange(4), Parameter("probe", (2,), "float32", trainable=False, layer=""))
    return {"train/inputs": inputs, "train/targets": np.arange(4) % 2}


MODEL = b'{"units": 3}'


def create(path: Path, seed: int, network: str, *, replace: bool = False) -> Writer:
    """Begin the run with this seed."""
    model = {"net.json": MODEL}
    return Writer.create(path, manifest(seed, network), probe=probe(seed), model=model, replace_existing=replace)


def open_run(path: Path) -> Run:
    """A run in which nothing may be damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Run(path)


def same(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each row whether it is the same bit by bit."""
    if (found.dtype, found.shape) != (wanted.dtype, wanted.shape) or not found.size:
        return np.full(len(wanted), found.shape == wanted.shape)
    rows = (np.ascontiguousarray(each).reshape(len(wanted), -1).view(np.uint8) for each in (found, wanted))
    return np.equal(*rows).all(axis=1)


def exact(run: Run) -> np.ndarray:
    """For each frame of an undamaged run whether all of it is what it was: clock, scalars and weights."""
    steps = np.arange(len(run))
    right = same(run.steps, steps) & same(run.epochs, steps / 4) & same(run.times, steps / 8)
    for name, value in logged(steps).items() if len(run) else ():
        right &= same(run.scalar(name), value)
    for parameter in run.manifest.parameters:
        size = np.dtype(parameter.dtype).itemsize * int(np.prod(parameter.shape))
        for first in range(0, len(run), max(1, BLOCK_BYTES // size)):
            part = slice(first, min(len(run), first + max(1, BLOCK_BYTES // size)))
            wanted = weights(int(run.manifest.id), steps[part], parameter)
            right[part] &= same(run.weights(parameter.name, part), wanted)
    return right


def logged(steps: np.ndarray) -> dict[str, np.ndarray]:
    """What `Run.scalar` says for these steps."""
    return {"loss": 1 / (steps + 1), "val_loss": np.where(steps % 3 == 0, steps / 3, np.nan)}

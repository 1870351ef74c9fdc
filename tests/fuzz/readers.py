"""Coverage-guided fuzzing of what reads a run: `python -m tests.fuzz.readers TARGET [libFuzzer options]`.

Whoever makes a hostile run computes its checksums, so that here every checksum is the same. Inputs are mutated as
bytes, and as JSON with values exchanged for awkward ones.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import warnings
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["netlapse.store"]):
    from netlapse.errors import NetlapseError
    from netlapse.store import Frame, Layer, Manifest, Parameter, Writer, compression, manifest, tensors
    from netlapse.store.segment import Segment

ZEROS = "0" * 16
AWKWARD = (
    None,
    True,
    -1,
    0,
    1,
    3,
    2**31,
    2**53,
    2**63 - 1,
    10**18,
    10**400,
    0.5,
    1e308,
    "",
    "..",
    "a/b",
    "\0",
    "\ud800",
)
AWKWARD += ([], {}, [0, 0], [0, 10**18], "F64", "BOOL", "BF16", "U8", "clock/frame", "weights/w", "scalars/loss", "{}")


class Memory(tensors.Content):
    """One file, and the folder that it is in."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.identity = (0, 0, len(content), 0)

    @contextmanager
    def open(self, name):
        yield self

    def exists(self):
        return True


def segment(data: bytes) -> None:
    """Open a segment and read all that it holds."""
    file = Memory(data)
    with suppress(NetlapseError):
        opened = Segment(file, "frames/00000000.safetensors", file.identity, "5eed")
        assert len(opened.numbers) == len(opened) > 0
        for name in opened.names:
            with suppress(NetlapseError):
                assert len(opened.read(name)) == len(opened)
                opened.read(name, len(opened) - 1)


def run_json(data: bytes) -> None:
    """Read a manifest, and write what was read."""
    with suppress(NetlapseError):
        found = manifest.read(Memory(data))
        json.dumps(asdict(found), allow_nan=False)


def decompress(data: bytes) -> None:
    """Decompress to shapes of all kinds."""
    dtype = tuple(tensors.DTYPES.values())[data[0] % len(tensors.DTYPES)] if data else np.dtype("f4")
    with suppress(ValueError):
        shape = tensors.shape_of(list(data[1:4]))
        assert compression.decompress(np.frombuffer(data[4:], np.uint8), dtype, shape).shape == shape


def probe(data: bytes) -> None:
    """Read the arrays of a probe."""
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        assert sum(array.nbytes for array in tensors.decode(data).values()) <= len(data)


TARGETS = {"segment": segment, "manifest": run_json, "decompress": decompress, "probe": probe}


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Exchange a value of the JSON in a file, or some of its bytes."""
    generator = random.Random(seed)
    start = int.from_bytes(data[:8], "little")
    framed = 0 < start <= len(data) - 8
    try:
        content = json.loads(data[8 : 8 + start] if framed else data)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not content or generator.random() < 0.3:
        return atheris.Mutate(data, most)
    place, key = content, generator.choice(list(content))
    while isinstance(place[key], dict | list) and place[key] and generator.random() < 0.8:
        place = place[key]
        key = generator.choice(list(place)) if isinstance(place, dict) else generator.randrange(len(place))
    if isinstance(place[key], str) and place[key].startswith("{"):
        place[key] = mutate(place[key].encode(errors="replace"), most, seed + 1).decode(errors="replace")
    elif isinstance(place, dict) and generator.random() < 0.2:
        place[str(generator.choice(AWKWARD))] = place.pop(key)
    else:
        place[key] = generator.choice(AWKWARD)
    text = json.dumps(content).encode()
    return (len(text).to_bytes(8, "little") + text + data[8 + start :] if framed else text)[:most]


def seeds(folder: Path, target: str) -> None:
    """Files of a sound run, to begin with."""
    weights = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "flag": np.array([True])}
    description = Manifest(
        id="5eed",
        name="relu",
        created="2026-01-01T00:00:00+00:00",
        status="recording",
        netlapse="0.1.0",
        framework="numpy",
        backend="numpy",
        versions={"numpy": "2.0"},
        hyperparameters={"learning_rate": 0.1, "units": [3, None]},
        layers=(Layer("hidden", "Dense", 3, "relu"),),
        parameters=tuple(Parameter(n, a.shape, str(a.dtype), True, "hidden") for n, a in weights.items()),
        model={},
        probe={"examples": 4, "drawn_from": 9, "class_names": ["a", "b"]},
        schedule="epoch",
    )
    arrays = {"train/inputs": np.zeros((4, 2), np.float32), "train/targets": np.arange(4) % 2}
    for compressed in (False, True):
        description = replace(description, storage={"compressed": compressed})
        path = folder / f"run{compressed}"
        writer = Writer.create(path, description, probe=arrays, model={})
        for step in range(40):
            writer.append(Frame(step, step / 4, step / 8, weights, {"loss": 1.0}, {"slot": np.zeros(3)}))
        writer.close()
        files = {
            "segment": [path / "frames/00000000.safetensors"],
            "manifest": [path / "run.json"],
            "probe": [path / "probe.safetensors"],
            "decompress": [],
        }
        for number, file in enumerate(files[target]):
            (folder / f"{compressed}{number}").write_bytes(file.read_bytes())
    packed = compression.compress(np.zeros((9, 8), np.float32))
    if target == "decompress" and packed is not None:
        number = list(tensors.DTYPES).index("F32")
        (folder / "packed").write_bytes(bytes([number, 9, 8, 1]) + packed.tobytes())


def main() -> None:
    """Fuzz one target."""
    target = sys.argv.pop(1)
    tensors.checksum = lambda name, block, rows, shape: ZEROS
    manifest.checksum = lambda *parts: ZEROS
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        seeds(Path(folder), target)
        for run in Path(folder).glob("run*"):
            run.rename(Path(tempfile.mkdtemp()) / run.name)
        atheris.Setup([*sys.argv, folder], TARGETS[target], custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

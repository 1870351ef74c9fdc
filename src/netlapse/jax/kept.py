"""`network.json`: what a run says of its JAX network, apart from its computation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import DamagedRun, Unsupported
from ..replay.network import Tap
from ..store.examples import named
from .backend import jax
from .structure import PlainStructure, of_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..store import Arrays, Manifest


@dataclass(frozen=True)
class Kept:
    """Names, shapes and dtypes.

    `inputs`, `targets` and `outputs` are [shape, dtype] of one example, by name; `taps` are [layer, moment, shape].
    `structure` and `output_tree` say how arrays are put together, null where JSON cannot.
    """

    inputs: dict[str, Any]
    targets: dict[str, Any]
    outputs: dict[str, Any]
    output_tree: Any
    taps: list[Any]
    sigmoid: str | None
    takes_logits: bool
    heads: list[str]
    structure: Any
    has_state: bool
    rng: Any

    @classmethod
    def of(cls, manifest: Manifest, read: Callable[[str], bytes]) -> Kept:
        """Read it. Raises DamagedRun for what `written` did not write."""
        if "network" not in manifest.model:
            raise Unsupported(f"run {manifest.name!r} does not say what its network is; record it again")
        try:
            content = json.loads(read("network"))
            kept = cls(**{entry.name: content[entry.name] for entry in fields(cls)})
            for specs in (kept.inputs, kept.targets, kept.outputs):
                _ = specs_of(specs)
            _ = kept.tap_shapes
            _ = of_plain(kept.output_tree, dict.fromkeys(kept.outputs))
            if kept.structure is not None:
                _ = PlainStructure(kept.structure).build({p.name: None for p in manifest.parameters})
            if kept.rng is not None:
                _ = str(kept.rng["impl"]), np.array(kept.rng["data"], np.uint32)
            if not isinstance(cast("Any", kept.heads), list) or not isinstance(cast("Any", kept.sigmoid), str | None):
                raise TypeError("it names no layers")
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise DamagedRun(f"run {manifest.name!r} does not say what its network is ({error})") from error
        return kept

    def written(self) -> bytes:
        """As the run keeps it."""
        return json.dumps(asdict(self)).encode()

    @property
    def tap_shapes(self) -> dict[Tap, tuple[int, ...]]:
        """The taps, with the shape of one example."""
        return {Tap(str(layer), moment): tuple(map(int, shape)) for layer, moment, shape in self.taps}


def entries_of(arrays: Arrays) -> dict[str, Any]:
    """Shape and dtype of one example of each, as they are kept."""
    return {
        name: [list(array.shape[1:]), str(jax.dtypes.canonicalize_dtype(array.dtype))]
        for name, array in named(arrays).items()
    }


def specs_of(entries: Mapping[str, Any]) -> Any:
    """What `entries_of` was given, as shapes and dtypes of one example."""
    specs = {
        name: jax.ShapeDtypeStruct(tuple(map(int, shape)), jax.numpy.dtype(dtype))
        for name, (shape, dtype) in entries.items()
    }
    return specs[""] if list(specs) == [""] else specs


def fitted(arrays: Arrays, entries: Mapping[str, Any]) -> Any:
    """Examples in the shape and dtype that are kept."""

    def fit(array: Any, entry: Any) -> Any:
        shape, dtype = entry
        return np.asarray(array).reshape(len(array), *shape).astype(dtype)

    if not isinstance(arrays, dict):
        [entry] = entries.values()
        fit_one = fit(arrays, entry)
        return fit_one if "" in entries else {next(iter(entries)): fit_one}
    return {name: fit(arrays[name], entry) for name, entry in entries.items()}

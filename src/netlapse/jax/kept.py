"""`network.json`: what a run says of its JAX network, apart from its computation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import DamagedRun, Unsupported
from ..replay.link import LINKS
from ..replay.network import Tap
from ..store.examples import named
from .backend import jax
from .structure import PlainStructure, of_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..replay.link import Link
    from ..store import Arrays, Manifest


@dataclass(frozen=True)
class Final:
    """A layer whose activation function makes an output of scores."""

    layer: str
    link: Link

    @property
    def tap(self) -> Tap:
        """Where the scores are."""
        return Tap(self.layer, "pre_activation")


@dataclass(frozen=True)
class Kept:
    """Names, shapes and dtypes.

    `inputs`, `targets` and `outputs` are [shape, dtype] of one example, by name; `taps` are [layer, moment, shape].
    `finals` are [layer, link] by output. `structure` and `output_tree` say how arrays are put together, null where JSON
    cannot.
    """

    inputs: dict[str, Any]
    targets: dict[str, Any]
    outputs: dict[str, Any]
    output_tree: Any
    taps: list[Any]
    finals: dict[str, Any]
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
            if "finals" not in content:  # as runs before there were several outputs
                content["finals"] = {
                    key: [content["sigmoid"], "sigmoid"] for key in content["outputs"] if content["sigmoid"]
                }
            kept = cls(**{entry.name: content[entry.name] for entry in fields(cls)})
            for specs in (kept.inputs, kept.targets, kept.outputs):
                _ = specs_of(specs)
            _ = kept.tap_shapes
            _ = of_plain(kept.output_tree, dict.fromkeys(kept.outputs))
            if kept.structure is not None:
                _ = PlainStructure(kept.structure).build({p.name: None for p in manifest.parameters})
            if kept.rng is not None:
                _ = str(kept.rng["impl"]), np.array(kept.rng["data"], np.uint32)
            _ = kept.final_taps
            if not isinstance(cast("Any", kept.heads), list):
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

    @property
    def final_taps(self) -> dict[str, Final]:
        """The layers that end in a sigmoid or softmax, by output."""
        found = {output: Final(layer, link) for output, (layer, link) in self.finals.items()}
        if any(final.tap not in self.tap_shapes or final.link not in LINKS.values() for final in found.values()):
            raise ValueError("a final layer is none")
        return found


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

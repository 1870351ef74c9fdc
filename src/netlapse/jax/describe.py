"""What a run should know of a function, its parameters and its loss."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported
from ..record import Description, one_or_all, plain
from ..replay.network import Tap
from ..store import Parameter
from .backend import jax
from .kept import Kept, entries_of
from .layers import layer_of
from .stored import export
from .structure import plain_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..record import Probe
    from .function import Function
    from .live import Live
    from .loss import Losses
    from .structure import Structure


def describe(
    function: Function,
    structure: Structure,
    live: Live,
    losses: Losses | None,
    probe: Probe,
    extra: Mapping[str, Any],
) -> Description:
    """Everything a run should know, its computation included where JAX can store it."""
    kept = _kept(function, structure, live, probe)
    files = {"network": ("network.json", kept.written())}
    for role, content in export(live, losses, structure.specs, kept).items():
        files[role] = f"{role}.{'txt' if role.startswith('no-') else 'jax'}", content
    return Description(
        framework="jax",
        backend=jax.default_backend(),
        versions=_versions(),
        hyperparameters=plain({**_hyperparameters(structure, live, losses), **extra}),
        layers=live.layers,
        parameters=tuple(
            Parameter(
                name,
                tuple(spec.shape),
                str(spec.dtype),
                name in structure.trainable,
                live.layer_of.get(name, layer_of(name)),
            )
            for name, spec in structure.specs.items()
        ),
        model={role: name for role, (name, _) in files.items()},
        model_files=dict(files.values()),
    )


def _kept(function: Function, structure: Structure, live: Live, probe: Probe) -> Kept:
    heads: list[str] = []
    for layer in live.layers:
        if len(live.taps[Tap(layer.name)]) == 1 and layer.name not in live.outputs:
            try:
                live.require_bottleneck(layer.name)
            except Unsupported:
                continue
            heads.append(layer.name)
    try:
        output_tree = plain_of(live.arrange(list(live.outputs)))
    except TypeError:
        output_tree = {"tuple": list(live.outputs)}
    return Kept(
        inputs=entries_of(probe.inputs),
        targets=entries_of(probe.targets),
        outputs={
            name: [list(spec.shape), str(spec.dtype)]
            for name, spec in zip(live.outputs, live.output_specs, strict=True)
        },
        output_tree=output_tree,
        taps=[[tap.layer, tap.moment, list(shape)] for tap, shape in live.taps.items()],
        finals={output: [final.layer, final.link] for output, final in live.finals.items()},
        heads=heads,
        structure=structure.plain(),
        has_state=function.has_state,
        rng=_rng(function.rng),
    )


def _rng(rng: Any) -> Any:
    if rng is None:
        return None
    if not jax.dtypes.issubdtype(rng.dtype, jax.dtypes.prng_key):
        return {"data": np.asarray(rng).tolist(), "impl": None}
    return {"data": np.asarray(jax.random.key_data(rng)).tolist(), "impl": str(jax.random.key_impl(rng))}


def _hyperparameters(structure: Structure, live: Live, losses: Losses | None) -> dict[str, Any]:
    dtypes = sorted({str(spec.dtype) for name, spec in structure.specs.items() if name in structure.trainable})
    return {
        "activation": one_or_all([layer.activation for layer in live.layers[:-1] if layer.activation]),
        "layers": len(live.layers),
        "units": [layer.units for layer in live.layers],
        "parameters": int(sum(np.prod(spec.shape, dtype=int) for spec in structure.specs.values())),
        "dtype": one_or_all(dtypes),
        "loss": losses.name if losses else None,
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "jax": jax.__version__}
    for package in ("jaxlib", "numpy", "flax", "equinox", "haiku", "optax"):
        if package in sys.modules:
            try:
                found[package] = version({"haiku": "dm-haiku"}.get(package, package))
            except PackageNotFoundError:
                continue
    return found

"""Convolutional layers of a run: where their kernels are, and in which order axes lie.

Keras, Flax and their like keep a kernel as (place ..., input channel, unit) and put units last in a layer's values;
torch and Equinox keep a weight as (unit, input channel, place ...) and put units first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UnknownName, Unsupported

if TYPE_CHECKING:
    from jaxtyping import Float

    from ..store import Layer, Manifest, Parameter


def convolutions(manifest: Manifest) -> dict[str, tuple[Layer, Parameter]]:
    """The convolutional layers by name, each with its kernel."""
    found: dict[str, tuple[Layer, Parameter]] = {}
    for layer in manifest.layers:
        # A layer that is applied several times has its weights under the name without a number, or that of the first.
        names = {layer.name, _plain(layer.name), f"{_plain(layer.name)}@1"}
        kernels = [
            entry
            for entry in manifest.parameters
            if entry.layer in names and len(entry.shape) in (3, 4, 5) and "pointwise" not in entry.name
        ]
        if kernels and "conv" in layer.type.lower():
            found[layer.name] = layer, kernels[0]
    return found


def convolution(manifest: Manifest, name: str) -> tuple[Layer, Parameter]:
    """A layer and its kernel. Raises UnknownName for a layer that is no convolution, Unsupported for one in space."""
    known = convolutions(manifest)
    if name not in known:
        has = f"its convolutions are {', '.join(known)}" if known else "it has no convolution whose kernel is recorded"
        raise UnknownName(f"run {manifest.name!r} has no convolution {name!r}; {has}")
    layer, kernel = known[name]
    if len(kernel.shape) == 5:
        raise Unsupported(f"layer {name!r} has kernels of three axes; choose a convolution along one or two")
    return layer, kernel


def channels_first(manifest: Manifest, name: str, shape: tuple[int, ...]) -> bool:
    """Whether the first axis of a layer's values of one example, of this shape, is that of the units; or the last."""
    known = convolutions(manifest)
    usual = any(_units_first(kernel) for _, kernel in known.values() if len(kernel.shape) == len(shape) + 1)
    if name not in known:
        return usual
    units = by_unit(np.broadcast_to(0.0, (1, *known[name][1].shape)), *known[name]).shape[1]
    # A layer of Keras may have been told to put them first.
    found = [axis for axis in (0, -1) if shape[axis] == units]
    return found == [0] if len(found) == 1 else usual


def by_unit(
    kernels: Float[np.ndarray, "frame ..."], layer: Layer, parameter: Parameter
) -> Float[np.ndarray, "frame unit channel ..."]:
    """Kernels of a layer with the axes of units and input channels before those of places."""
    if not _units_first(parameter):
        if "depthwise" in parameter.name.rpartition("/")[2] or "depthwise" in layer.type.lower():
            # Each input channel has units of its own.
            return np.moveaxis(kernels.reshape(*kernels.shape[:-2], -1), -1, 1)[:, :, None]
        kernels = np.moveaxis(kernels, (-1, -2), (1, 2))
    return kernels.swapaxes(1, 2) if "transpose" in layer.type.lower() else kernels


def _units_first(parameter: Parameter) -> bool:
    return "weight" in parameter.name.replace("/", ".").rpartition(".")[2]


def _plain(name: str) -> str:
    return re.sub(r"@\d+$", "", name)

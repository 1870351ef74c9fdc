"""The feature space of a run's layer at any epoch: on one scale for all, with what is to be said of its projection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported
from ..measures.projection import Projection
from .blocks import BLOCK_FRAMES, Blocks, frames_within, overview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..measures import FeatureSpace
    from ..replay import Replay

# Enough for limits and for what is printed about a projection.
_FEW = 16


@dataclass(frozen=True)
class Space:
    """A feature space and the honest words that belong under it."""

    blocks: Blocks[FeatureSpace]
    facts: tuple[str, ...]


def space_of(replay: Replay, layer: str, **options: Any) -> Space:
    """The feature space of a layer; options are those of `Replay.feature_space`."""
    if not isinstance(options.get("projection", "pca"), Projection):
        options["projection"] = replay.projection(layer, options.pop("projection", "pca"))
    projection: Projection = options["projection"]
    plain = len(projection.origin) == 2
    # A wide layer is evaluated frame by frame, and may be one of a large network: fewer frames settle the scale.
    known = replay.feature_space(layer, overview(replay.epochs, BLOCK_FRAMES if plain else _FEW), **options)
    at_once = min(frames_within(known.frame_bytes), BLOCK_FRAMES if plain else _FEW)
    compute = partial(replay.feature_space, layer, limits=known.limits, **options)
    blocks = Blocks(compute, replay.epochs, known=known, at_once=at_once)
    if plain:
        return Space(blocks, ())
    honest = replay.honesty(layer, projection, overview(replay.epochs, _FEW), split=options.get("split", "train"))
    facts = [f"{honest.kept_overall:.0%} of variance"] if np.isfinite(honest.kept_overall) else []
    facts += [f"movement r = {honest.movement:.2f}"] if np.isfinite(honest.movement) else []
    return Space(blocks, tuple(facts))


def feature_layer(replay: Replay) -> str:
    """The last hidden layer of two units, or else the last hidden layer. Raises Unsupported if there is none."""
    hidden = [layer for layer in replay.layers[:-1] if layer.name not in replay.output_names]
    found = [layer.name for layer in hidden if layer.units == 2] or [layer.name for layer in hidden if layer.units]
    if not found:
        layers = ", ".join(f"{layer.name} ({layer.units} units)" for layer in replay.layers)
        raise Unsupported(f"run {replay.name!r} has no hidden layer to draw; its layers are {layers}")
    return found[-1]


def shared_projection(replays: Sequence[Replay], layer: str | None) -> Projection | None:
    """One projection for the feature spaces of several runs; None if their layers differ in width."""
    layers = [layer or feature_layer(replay) for replay in replays]
    try:
        return replays[0].projection(layers[0], also=replays[1:]) if len(set(layers)) == 1 else None
    except Unsupported:
        return None

"""What one may look at: epochs, layers and examples by the names that people give them."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..errors import MissingFrame, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..replay import Replay
    from .schema import Payload


def leader(replays: Sequence[Replay]) -> int:
    """The run whose frames are counted: the one that was trained longest, the first of equals."""
    return max(range(len(replays)), key=lambda number: replays[number].epochs[-1])


def nearest_epoch(replays: Sequence[Replay], wanted: Any) -> float:
    """The recorded epoch nearest to this one.

    Raises ValueError for what is no number, MissingFrame for an epoch before the first or after the last.
    """
    replay = replays[leader(replays)]
    first, last = replay.epochs[0], replay.epochs[-1]
    try:
        epoch = float(wanted)
    except (TypeError, ValueError) as error:
        raise ValueError(f"epoch is a number from {first:g} to {last:g}, not {wanted!r}") from error
    # The page has single precision.
    slack = 1e-6 * max(1.0, abs(last))
    if not first - slack <= epoch <= last + slack:
        raise MissingFrame(
            f"run {replay.name!r} has no frame at epoch {epoch:g}; it has {len(replay.epochs)} frames, epochs"
            f" {first:g} to {last:g}"
        )
    return replay.nearest(epoch)


def known_layer(payload: Payload, wanted: Any) -> str | None:
    """A layer whose space is shown, None for the usual one. Raises UnknownName for others, with those there are."""
    spaces = [space["layer"] for run in payload["runs"] for space in (*run["spaces"], *run["tours"])]
    names = list(dict.fromkeys(spaces))
    if wanted is None or wanted in names:
        return wanted
    raise UnknownName(f"no layer {wanted!r} is shown here; there is {', '.join(names) or 'none'}")


def known_examples(numbers: Sequence[int], wanted: Any) -> list[int]:
    """Numbers of examples, ascending. Raises ValueError for what is no list of numbers, UnknownName for others."""
    try:
        found = sorted({operator.index(number) for number in wanted})
    except TypeError as error:
        raise ValueError(f"selected is a list of example numbers, such as {numbers[:2]}, not {wanted!r}") from error
    known = set(numbers)
    for number in found:
        if number not in known:
            few = f"; {len(known):,} examples are shown, of numbers {min(known)} to {max(known)}" if known else ""
            raise UnknownName(f"there is no example {number} here{few}")
    return found


def fragment(epoch: float | None, layer: str | None) -> str:
    """A moment as the fragment of a page's address."""
    asked = {"epoch": None if epoch is None else f"{epoch!r}", "layer": layer}
    return urlencode({name: value for name, value in asked.items() if value is not None})

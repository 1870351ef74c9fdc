"""How the networks of a study are divided into pieces, each trained in one go by one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Neighbours with one order of the examples, where orders are shared.
GROUP = 16


@dataclass(frozen=True)
class Network:
    """One network: its number, the number of its setting, its seed, and the seed of the order of its examples."""

    number: int
    setting: int
    seed: int
    order: int


@dataclass(frozen=True)
class Piece:
    """Networks that one program trains at once. `program` is the number of their structure."""

    number: int
    program: int
    networks: tuple[Network, ...]


def divide(
    programs: Sequence[int], seeds: Sequence[int], *, size: int, paired: bool, shared_orders: bool
) -> list[Piece]:
    """Divide all settings times seeds into pieces of at most `size` networks, a whole number of groups.

    `programs` says for each setting which structure it has. With `paired` every setting has the same seeds; otherwise
    each network has one of its own. Where orders are shared, `GROUP` neighbours of a setting have one; it depends on
    their seeds only, so that pairs share it too.
    """
    pieces: list[Piece] = []
    for program in dict.fromkeys(programs):
        groups: list[list[Network]] = []
        for setting in (number for number, own in enumerate(programs) if own == program):
            first = 0 if paired else setting * len(seeds)
            found = [
                Network(
                    setting * len(seeds) + place,
                    setting,
                    seed + first,
                    (seed + first) // GROUP if shared_orders else seed + first,
                )
                for place, seed in enumerate(seeds)
            ]
            by_order: dict[int, list[Network]] = {}
            for network in found:
                by_order.setdefault(network.seed // GROUP, []).append(network)
            groups += by_order.values()
        at_once = max(1, size // GROUP)
        for start in range(0, len(groups), at_once):
            together = [network for group in groups[start : start + at_once] for network in group]
            pieces.append(Piece(len(pieces), program, tuple(together)))
    return pieces

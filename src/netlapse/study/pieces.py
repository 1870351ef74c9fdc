"""How the networks of a study are divided into pieces, each trained in one go by one program."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

# Neighbouring seeds have one order of the examples, where orders are shared, and so many networks are trained in it.
GROUP = 16

T = TypeVar("T")


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
    programs: Sequence[int],
    data: Sequence[int],
    seeds: Sequence[int],
    *,
    size: int,
    paired: bool,
    shared_orders: bool,
) -> list[Piece]:
    """Divide all settings times seeds into pieces of at most `size` networks, of one structure and the same data.

    `programs` says for each setting which structure it has, `data` which data it learns. With `paired` every setting
    has the same seeds; otherwise each network has one of its own. Where orders are shared, `GROUP` neighbouring seeds
    have one, whatever the setting; then a piece has networks of one order beside each other, and room for a whole
    number of groups of them.
    """
    pieces: list[Piece] = []
    kinds = list(zip(programs, data, strict=True))
    for kind in dict.fromkeys(kinds):
        networks: list[Network] = []
        for setting in (number for number, own in enumerate(kinds) if own == kind):
            before = setting * len(seeds)
            for place, given in enumerate(seeds):
                seed = given if paired else given + before
                networks.append(Network(before + place, setting, seed, seed // GROUP if shared_orders else seed))
        together = _by_orders(networks, size) if shared_orders else _cut(networks, size)
        pieces += [Piece(number, kind[0], tuple(some)) for number, some in enumerate(together, len(pieces))]
    return pieces


def _by_orders(networks: list[Network], size: int) -> list[list[Network]]:
    by_order: dict[int, list[Network]] = {}
    for network in networks:
        by_order.setdefault(network.order, []).append(network)
    groups = [group for some in by_order.values() for group in _cut(some, GROUP)]
    return [list(chain.from_iterable(some)) for some in _cut(groups, size // GROUP)]


def _cut(values: list[T], size: int) -> list[list[T]]:
    return [values[start : start + size] for start in range(0, len(values), size)]

"""Hyper-parameters of several runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def differing(settings: Sequence[Mapping[str, object]]) -> list[str]:
    """The hyper-parameters in which runs differ.

    What a layer or an optimiser repeats in detail, such as "optimizer.momentum", counts where nothing else differs.
    """
    keys = dict.fromkeys(key for one in settings for key in one)
    found = [key for key in keys if len({repr(one.get(key)) for one in settings}) > 1]
    return [key for key in found if "." not in key] or found

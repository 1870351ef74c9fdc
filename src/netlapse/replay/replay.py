"""Replay: a recorded run, and every measure of it."""

from __future__ import annotations

from .by_layer import ByLayer
from .landscape import Landscape
from .maps import Maps
from .units import Units


class Replay(ByLayer, Maps, Units, Landscape):
    """A recorded run, replayed: its arrays, and the measures of them, one method for each.

    What it can do stands by topics in the classes that it is made of. Measures take `split`, the "train" or the
    "validation" examples of the probe, and `output`, one of several outputs of the network by its name; the first by
    default.
    """

"""Replay: a recorded run, and every measure of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .by_layer import ByLayer
from .landscape import Landscape
from .maps import Maps
from .units import Units

if TYPE_CHECKING:
    from ..notebook import Bundle
    from ..notebook import Shown as Displayed


class Replay(ByLayer, Maps, Units, Landscape):
    """A recorded run, replayed: its arrays, and the measures of them, one method for each.

    What it can do stands by topics in the classes that it is made of. Measures take `split`, the "train" or the
    "validation" examples of the probe, and `output`, one of several outputs of the network by its name; the first by
    default. The last line of a notebook's cell shows it as `netlapse.show` does.
    """

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        # Imported in notebooks only, which ask for it.
        from ..notebook import bundle

        return bundle(self)

    def _display_(self) -> Displayed:
        """The same in marimo."""
        from ..notebook import show

        return show(self)

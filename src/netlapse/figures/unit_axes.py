"""What the pictures of one unit have in common: the room that they have, ticks, groups of examples, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from .groups import Groups
from .theme import LABEL, TICK

if TYPE_CHECKING:
    from jaxtyping import Bool
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

    from ..measures import Unit
    from .theme import Theme

# Width and height in points.
Room: TypeAlias = tuple[float, float]

# Points: a row of a histogram or of bars, with its name.
ROW, LONGEST = 1.05 * TICK, 90.0
# Points: what a title may reach beyond its Axes; from tick to tick; Axes that a long note fits into.
BESIDE, TICKS, _WIDE_NOTE = 17.0, 38.0, 160.0


def groups(unit: Unit, theme: Theme) -> list[tuple[Bool[np.ndarray, " example"], str, str]]:
    """The examples, colour and name of each group; all in one where nothing tells them apart."""
    if unit.task is None:
        return [(np.ones(unit.activations.shape[1], bool), theme.muted, "all")]
    found = Groups(unit.task, theme)
    members = [found.of_example == number for number in range(len(found))]
    return list(zip(members, found.colors, found.names, strict=True))


def finite(values: np.ndarray) -> np.ndarray:
    """The values, with 0 for those that are no numbers."""
    return np.where(np.isfinite(values), values, 0)


def named(layer: str) -> str:
    """How a layer is called: some have numbers for names."""
    return f"layer {layer}" if layer.replace(".", "").isdecimal() else layer


def room_of(ax: Axes) -> Room:
    """The room of Axes as they are now."""
    width, height = (72 / ax.figure.dpi * size for size in ax.bbox.size)
    return width, height


def ticks(width: float) -> int:
    """How many steps between ticks there is room for."""
    return max(2, min(5, int(width / TICKS)))


def note(ax: Axes, theme: Theme, width: float) -> Text:
    """What stands over a picture, once it is shown, of a unit whose values are no numbers."""
    words = "not a number:\nthe weights have diverged" if width > _WIDE_NOTE else "not a number"
    return ax.text(
        0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", fontsize=LABEL,
        color=theme.wrong, visible=False, zorder=5, bbox={"fc": theme.surface, "ec": theme.wrong},
    )  # fmt: skip


def color_bar(ax: Axes, image: AxesImage, label: str, theme: Theme) -> Colorbar:
    """A colour bar at the right."""
    bar = ax.figure.figure.colorbar(image, ax=ax, pad=0.02, aspect=26)
    bar.set_label(label, fontsize=LABEL, color=theme.ink)
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.muted, labelsize=TICK)
    cast("Any", bar.outline).set_edgecolor(theme.line)
    return bar

"""What the panels share.

A *panel* says what of a run is to be seen: a small frozen dataclass of options, in `figures.panels`. It draws itself
into a part of a figure once; what it returns is moved from epoch to epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import numpy as np
from matplotlib.transforms import offset_copy

from ..measures.timeline import Timeline
from .shapes import Ticker, text_width
from .theme import TICK, TITLE, TITLE_PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec
    from matplotlib.text import Text
    from numpy.typing import NDArray

    from ..replay import Replay
    from .blocks import Blocks
    from .theme import Theme

M = TypeVar("M", bound=Timeline)
M_contra = TypeVar("M_contra", bound=Timeline, contravariant=True)


class Drawn(Protocol):
    """A panel on its Axes.

    All artists are made once. `artists` are those that change with the epoch, in drawing order, the spines last so that
    nothing covers them.
    """

    @property
    def artists(self) -> Sequence[Artist]:
        """What changes from epoch to epoch."""
        ...

    def show(self, epoch: float) -> None:
        """Move it to this epoch; between two frames values are interpolated."""
        ...


class Panel(Protocol):
    """Something to be seen of a run, with its options."""

    @property
    def span(self) -> tuple[int, int]:
        """Rows and columns of the picture's cells that it would like; a cell is about as high as wide."""
        ...

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area. Raises Unsupported for runs that it cannot show."""
        ...


class Part(Protocol[M_contra]):
    """Artists that show one frame of a measure."""

    artists: list[Artist]

    def show(self, measure: M_contra, /) -> None:
        """Show the measure at its one frame."""
        ...


class Moving(Generic[M]):
    """A panel of one measure, computed a block of frames at a time."""

    def __init__(self, blocks: Blocks[M], *parts: Part[M]) -> None:
        self._blocks, self.parts = blocks, parts
        self.artists: list[Artist] = [artist for part in parts for artist in part.artists]

    def show(self, epoch: float) -> None:
        """Move all parts to this epoch."""
        measure = self._blocks.at(epoch)
        for part in self.parts:
            part.show(measure)


class Still:
    """A panel that is the same at every epoch."""

    artists: Sequence[Artist] = ()

    def show(self, epoch: float) -> None:
        """Change nothing."""


def figure_of(area: SubplotSpec) -> Figure:
    """The figure that an area is part of."""
    return cast("Any", area.get_gridspec()).figure


def axes_in(area: SubplotSpec) -> Axes:
    """Axes that fill an area."""
    return figure_of(area).add_subplot(area)


def whose(replay: Replay, split: str, *outputs: str | None) -> str:
    """What a title says of what is shown: which of several outputs, and the examples unless they are those of training.

    An output of None is the network's first.
    """
    names = replay.output_names
    several = [output or names[0] for output in outputs] if len(names) > 1 else []
    return "".join(f", {part}" for part in (*several, *([] if split == "train" else [split])))


def entitle(ax: Axes, more: str) -> None:
    """Add to the title of Axes."""
    # Setting it anew would forget its distance from the Axes.
    title: Text = cast("Any", ax)._left_title
    title.set_text(title.get_text() + more)


def last_epoch(epochs: Float[np.ndarray, " frame"], epoch: float | None) -> float:
    return float(epochs[-1]) if epoch is None else epoch


def spines(ax: Axes) -> list[Artist]:
    return [spine for spine in ax.spines.values() if spine.get_visible()]


class Corner(Ticker):
    """A changing text above the right end of the Axes, on the line of the title: as much as there is room for."""

    def __init__(self, ax: Axes, theme: Theme, color: str | None = None) -> None:
        place = offset_copy(ax.transAxes, cast("Figure", ax.figure), y=TITLE_PAD, units="points")
        super().__init__(1.0, 1.0, transform=place, size=TICK, color=color or theme.wrong)
        self._choice: Sequence[str] = ()
        ax.add_artist(self)
        self.set_clip_on(False)

    def set_choice(self, *texts: str) -> None:
        """Show the first of these texts that fits."""
        self._choice = texts
        self.set_text(texts[0])

    def draw(self, renderer: RendererBase) -> None:
        """Choose a text for the canvas as it is now, and draw it."""
        ax = cast("Axes", self.axes)
        title: Text = cast("Any", ax)._left_title
        beside = ax.bbox.width - title.get_window_extent(renderer).width
        room = beside * 72 / cast("Figure", ax.figure).dpi - text_width("  ", TITLE)
        self.set_text(next((text for text in self._choice if text_width(text, TICK) <= room), ""))
        super().draw(renderer)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis if it has more characters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


# What `root_scale` is the scale of.
CASES = "cases (\N{SQUARE ROOT} scale)"


def root_scale(ax: Axes, cases: int) -> None:
    """A height that grows with the square root: one case in a thousand can still be seen."""
    ax.set_yscale("function", functions=(_root, np.square))
    ax.set_ylim(0, cases)
    # Far enough apart for Axes that are no higher than a few lines of text.
    apart = 0.15 * cases**0.5
    ticks = [cases]
    for tick in (part * 10**power for power in reversed(range(8)) for part in (3, 1)):
        if ticks[-1] ** 0.5 - tick**0.5 >= apart <= tick**0.5:
            ticks.append(tick)
    ax.set_yticks([0, *reversed(ticks)])
    ax.minorticks_off()


def _root(cases: NDArray[Any]) -> NDArray[Any]:
    return np.sqrt(np.maximum(cases, 0))

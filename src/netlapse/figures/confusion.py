"""Which classes are taken for which, as an image."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import IdentityTransform

from .panel import Corner, last_epoch, shortened, spines
from .shapes import EMPTY, broken, text_width
from .theme import LABEL, THEMES, TICK, Theme, style_axes

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..measures import Confusion
    from .theme import ThemeName

# Of more classes the cells hold no numbers, and are not parted by lines.
MOST_NUMBERS, MOST_LINES = 12, 30
_LONGEST_NAME = 14
_SMALLEST = 6.0


class ConfusionPanel:
    """A row for each true class, a column for each predicted one.

    The colour of a cell is its share of the true class: those on the diagonal are right, all others wrong. It grows
    with the square root, so that one mistake in a hundred can be seen. Cells of up to 12 classes hold their counts, or
    with `shares` their percentage of the true class. In the corner stand the pairs that are confused most.
    """

    def __init__(self, ax: Axes, measure: Confusion, *, theme: Theme, shares: bool = False) -> None:
        style_axes(ax, theme, title="Confusion", xlabel="predicted class", ylabel="true class (cases)")
        self._names = [shortened(name, _LONGEST_NAME) for name in measure.names]
        self._shares, classes = shares, len(self._names)
        self._surface = np.array(to_rgb(theme.surface))
        self._colors = np.where(np.eye(classes, dtype=bool)[..., None], to_rgb(theme.series[0]), to_rgb(theme.wrong))
        self._image = ax.imshow(np.zeros((classes, classes, 3)), interpolation="nearest", aspect="auto", resample=False)
        _name_rows_and_columns(ax, measure, self._names)
        edges = np.arange(1, classes) - 0.5 if classes <= MOST_LINES else np.zeros(0)
        ends = np.array([-0.5, classes - 0.5])
        across = np.stack(
            [np.broadcast_to(ends, (len(edges), 2)), np.broadcast_to(edges[:, None], (len(edges), 2))], -1
        )
        lines = broken(np.concatenate([across, across[..., ::-1]]))
        grid = ax.add_line(Line2D(*lines.T, color=theme.line, linewidth=0.5))
        # In the ink of the surface on strong colours.
        self._numbers = [Numbers(ax, color) for color in (theme.ink, theme.surface)]
        self._note = Corner(ax, theme)
        for side in ("right", "top"):
            ax.spines[side].set_visible(True)
        self.artists: list[Artist] = [self._image, grid, *self._numbers, self._note, *spines(ax)]

    def show(self, measure: Confusion) -> None:
        """Show its one frame."""
        counts, shares = measure.counts[0], measure.shares[0]
        strength = np.sqrt(shares)[..., None]
        rgb = self._surface + strength * (self._colors - self._surface)
        self._image.set_data(rgb)
        if len(self._names) <= MOST_NUMBERS:
            texts = {
                (row, column): _percentage(shares[row, column]) if self._shares else f"{counts[row, column]}"
                for row, column in np.argwhere(counts).tolist()
            }
            strong = _contrast(rgb, self._surface) > _contrast(rgb, np.array(self._numbers[0].get_facecolor()[:3]))
            for numbers, own in zip(self._numbers, (~strong, strong), strict=True):
                numbers.set_texts({cell: text for cell, text in texts.items() if own[cell]})
        lost = int(measure.undecided[0])
        parts = [f"{lost} not a number"] if lost else []
        for true, wrong, count in measure.most_confused(0)[:3]:
            parts.append(f"{self._names[true]} \N{RIGHTWARDS ARROW} {self._names[wrong]}: {count}")
        choice = [", ".join(parts[:number]) for number in range(len(parts), 0, -1)]
        self._note.set_choice(*choice, f"{lost} NaN" if lost else "")


class Numbers(PathPatch):
    """Texts in the middle of cells, as one path; all of the largest size at which each fits its cell."""

    def __init__(self, ax: Axes, color: str) -> None:
        super().__init__(EMPTY, facecolor=color, linewidth=0, transform=IdentityTransform(), zorder=4)
        self.texts: dict[tuple[int, int], str] = {}
        ax.add_artist(self)

    def set_texts(self, texts: dict[tuple[int, int], str]) -> None:
        """Change the texts, by row and column."""
        self.texts = texts
        self.stale = True

    def size(self) -> float:
        """Size of the texts in points, at most that of labels; 0 if they would be too small to read."""
        assert self.axes is not None
        cells = np.abs(np.diff(self.axes.get_xlim())), np.abs(np.diff(self.axes.get_ylim()))
        room = _size(cast("Axes", self.axes))
        wide, high = (float(points / number[0]) for points, number in zip(room, cells, strict=True))
        widest = max(_outline(text)[2] for text in self.texts.values())
        size = min(LABEL, TICK * min(0.86 * wide / widest, 0.62 * high / TICK))
        return size if size >= _SMALLEST else 0.0

    def draw(self, renderer: RendererBase) -> None:
        """Place the texts on the canvas as it is now, and draw them."""
        size = self.size() if self.texts else 0.0
        if not size:
            return
        assert self.axes is not None
        cells = np.array([(column, row) for row, column in self.texts], float)
        scale = float(cast("Any", renderer).points_to_pixels(1.0)) * size / TICK
        outlines = [_outline(text) for text in self.texts.values()]
        places: NDArray[Any] = np.asarray(self.axes.transData.transform(cells))
        points = [place + scale * outline for place, (outline, *_) in zip(places, outlines, strict=True)]
        self.set_path(Path(np.concatenate(points), np.concatenate([codes for _, codes, _ in outlines])))
        super().draw(renderer)


@lru_cache(maxsize=2048)
def _outline(text: str) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Outline about its middle in points at the size of ticks, its path codes, and its width."""
    path = TextPath((0, 0), text, prop=FontProperties(size=TICK))
    vertices = np.asarray(path.vertices)
    width = text_width(text, TICK)
    # All digits are as high.
    return vertices - np.array([width / 2, 0.36 * TICK]), np.asarray(path.codes), width


def _contrast(rgb: Float[np.ndarray, "... 3"], other: Float[np.ndarray, " 3"]) -> Float[np.ndarray, ...]:
    """Ratio of luminances after WCAG 2: 1 for the same, 21 for black and white."""

    def luminance(color: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, ...]:
        linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
        return linear @ np.array([0.2126, 0.7152, 0.0722]) + 0.05

    one, two = luminance(rgb), luminance(other)
    return np.maximum(one, two) / np.minimum(one, two)


def _name_rows_and_columns(ax: Axes, measure: Confusion, names: list[str]) -> None:
    """Ticks with the names of the classes, and beside the rows how many cases each has.

    Of more classes than there is room for, every second, fifth, tenth ... has one.
    """
    classes = len(names)
    rows = [f"{name} ({cases})" for name, cases in zip(names, measure.cases, strict=True)]
    step = _step(classes, 0.75 * _size(ax)[1] / (1.3 * TICK))
    ax.set_yticks(range(0, classes, step), rows[::step])
    widest = 1.2 * max(text_width(name, TICK) for name in names)
    across = 0.75 * _size(ax)[0] / classes
    # Long names stand upright.
    upright = widest > max(across, 3 * TICK)
    step = _step(classes, classes * across / (1.3 * TICK if upright else widest))
    ax.set_xticks(range(0, classes, step), names[::step], rotation=90 if upright else 0)
    ax.tick_params(length=0 if classes <= MOST_LINES else 3)


def _size(ax: Axes) -> tuple[float, float]:
    """Width and height in points; before the figure is laid out, those of the room it has."""
    box, points = ax.get_window_extent(), 72 / cast("Figure", ax.figure).dpi
    return float(box.width) * points, float(box.height) * points


def _percentage(share: float) -> str:
    return "<1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _step(classes: int, room: float) -> int:
    """1, 2, 5, 10, ...: how many classes to go on from label to label where there is room for so many labels."""
    return next(
        step
        for power in range(6)
        for step in (10**power, 2 * 10**power, 5 * 10**power)
        if classes <= step * max(room, 1)
    )


def confusion(
    measure: Confusion, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light", shares: bool = False
) -> list[Artist]:
    """Draw which classes are taken for which at one epoch, the last by default. Returns the artists."""
    panel = ConfusionPanel(ax, measure, theme=THEMES[theme], shares=shares)
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists

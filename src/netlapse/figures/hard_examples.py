"""Cards of the hardest examples: what they look like, what they are called, what the network says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported
from ..measures import as_images
from .panel import last_epoch
from .shapes import Ticker, fitted, text_width
from .theme import THEMES, TICK, Theme, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..measures import ClassProbabilities, ExampleDynamics
    from .theme import ThemeName

# Points: the smallest card on which everything can be read, and the pitch of its lines.
_WIDE, _HIGH, _PITCH = 165.0, 60.0, 14.5
_BEST_RATIO = 2.2


class HardExamplesPanel:
    """One card for each of the hardest examples, hardest first.

    An image, or a strip of features: bars of standard deviations from the mean over the probe, the most unusual one
    coloured and named. Beside it the example's number in the user's data, its mean loss over all epochs, its label, and
    what the network takes it for at the epoch shown. Suspicious labels have a frame of the colour of what is wrong.
    """

    def __init__(
        self,
        ax: Axes,
        measure: ExampleDynamics,
        places: Sequence[int],
        inputs: NDArray[Any],
        *,
        room: tuple[float, float],
        theme: Theme,
        shape: Sequence[int] | None = None,
        feature_names: Sequence[str] = (),
    ) -> None:
        self._theme = theme
        rows, columns = grid(len(places), room)
        ranked = f"The {len(places)} hardest" if len(places) < len(measure.index) else f"All {len(places)}"
        style_axes(ax, theme, title=f"{ranked} of {len(measure.index):,} examples, by mean loss")
        ax.set(xlim=(0, columns), ylim=(0, rows), xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
        pictures = _pictures(inputs, shape)
        line = _PITCH * rows / room[1]
        self._says: list[Ticker] = []
        # Images are square; strips of features leave more room for names.
        width = 0.28 if pictures is None else 0.4
        self._text_room = (0.94 - width) * room[0] / columns
        for card, place in enumerate(places):
            row, column = divmod(card, columns)
            bottom = rows - 1 - row
            inset = ax.inset_axes((column + 0.01, bottom + 0.04, width, 0.92), transform=ax.transData)
            words = [
                f"#{measure.index[place]}  loss {measure.loss[place]:.2g}",
                self._fit("given ", measure.class_names[int(measure.labels[place])]),
            ]
            inset.set(xticks=[], yticks=[])
            inset.set_facecolor("none")
            for spine in inset.spines.values():
                spine.set_color(theme.wrong if measure.suspicious[place] else theme.line)
            if pictures is not None:
                inset.imshow(pictures[place], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            else:
                words.append(self._fit("", *_strip(inset, inputs, place, theme, feature_names)))
            x, top = column + width + 0.03, bottom + 0.5 + (len(words) / 2 - 0.3) * line
            for number, text in enumerate(words[:2]):
                ax.text(x, top - number * line, text, fontsize=TICK, color=theme.ink if number else theme.muted)
            ticker = Ticker(x, top - 2 * line, transform=ax.transData, size=TICK, color=theme.wrong, align="left")
            ax.add_artist(ticker)
            self._says.append(ticker)
            for text in words[2:]:
                ax.text(x, top - 3 * line, text, fontsize=TICK, color=theme.muted)
        self.artists: list[Artist] = [*self._says]

    def show(self, measure: ClassProbabilities) -> None:
        """Show what the network takes these examples for at its one frame."""
        for ticker, label, p in zip(self._says, measure.labels, measure.probabilities[0], strict=True):
            if np.isnan(p).any():
                ticker.set_text("not a number")
                ticker.set_facecolor(self._theme.wrong)
                continue
            best = int(p.argmax())
            ticker.set_text(self._fit("says ", measure.names[best], f" {p[best]:.0%}"))
            ticker.set_facecolor(self._theme.wrong if best != label else self._theme.ink)

    def _fit(self, before: str, name: str, after: str = "") -> str:
        return before + fitted(name, self._text_room - text_width(before + after, TICK)) + after


def hard_examples(
    measure: ExampleDynamics,
    probabilities: ClassProbabilities,
    inputs: NDArray[Any],
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    shape: Sequence[int] | None = None,
    feature_names: Sequence[str] = (),
) -> list[Artist]:
    """Draw the cards of the hardest examples, with the probabilities of one epoch, the last by default.

    `probabilities` are of the examples at `measure.worst(...)`, of which as many are drawn as can be read on these
    Axes; `inputs` are those of all examples of the probe. `shape` says which images flat inputs are, such as (8, 8).
    Returns the artists.
    """
    box = ax.get_window_extent()
    room = (72 / ax.figure.dpi * box.width, 72 / ax.figure.dpi * box.height)
    places = measure.worst(min(probabilities.probabilities.shape[1], most(room)))
    panel = HardExamplesPanel(
        ax, measure, places.tolist(), inputs, room=room, theme=THEMES[theme], shape=shape, feature_names=feature_names
    )
    panel.show(probabilities.at(last_epoch(probabilities.epochs, epoch)))
    return panel.artists


def most(room: tuple[float, float]) -> int:
    """How many cards can be read in so much room: width and height in points."""
    return max(1, int(room[0] / _WIDE)) * max(1, int(room[1] / _HIGH))


def grid(cards: int, room: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of so many cards: those whose cards come nearest to the best ratio, with the fewest empty."""

    def cost(columns: int) -> float:
        rows = -(-cards // columns)
        ratio = room[0] / columns / (room[1] / rows)
        small = room[0] / columns < 0.99 * _WIDE or room[1] / rows < 0.99 * _HIGH
        return abs(math.log(ratio / _BEST_RATIO)) + (rows * columns - cards) / cards + 10 * small

    columns = min(range(1, cards + 1), key=cost)
    return -(-cards // columns), columns


def _pictures(inputs: NDArray[Any], shape: Sequence[int] | None) -> Float[np.ndarray, "example row column ..."] | None:
    """The inputs as images; None for those that are none, unless a shape says that they are."""
    if shape is None and inputs.ndim < 3:
        return None
    try:
        return as_images(inputs, shape)
    except Unsupported:
        if shape is not None:
            raise
        return None


def _strip(ax: Axes, inputs: NDArray[Any], place: int, theme: Theme, names: Sequence[str]) -> tuple[str, str]:
    """Draw an example's standardised features; return the name of the most unusual one, and how unusual it is."""
    flat = inputs.reshape(len(inputs), -1).astype(float)
    spread = flat.std(axis=0)
    scores = np.divide(flat[place] - flat.mean(axis=0), spread, out=np.zeros(flat.shape[1]), where=spread > 0)
    most_unusual = int(np.abs(scores).argmax())
    edges = np.arange(len(scores) + 1) - 0.5
    ax.axhline(0, color=theme.line, linewidth=0.8)
    named = np.arange(len(scores)) == most_unusual
    for color, bars in ((theme.muted, ~named), (theme.series[1], named)):
        ax.stairs(np.where(bars, scores, 0), edges, fill=True, color=color, linewidth=0)
    reach = 1.1 * max(3.0, float(np.abs(scores).max()))
    ax.set(xlim=(edges[0], edges[-1]), ylim=(-reach, reach))
    name = names[most_unusual] if len(names) == len(scores) else f"feature {most_unusual}"
    return name, f" {scores[most_unusual]:+.1f}\N{GREEK SMALL LETTER SIGMA}"

"""What stands around the panels of a scene: the figure, its heading, the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from ..measures import differing
from .shapes import Ticker, fitted, text_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.text import Text

    from ..replay import Replay
    from .theme import Theme

DPI = 120
_HEADING = 14.0
# How far a label may reach beyond its Axes, in points.
_BESIDE = 20.0


class Layout(ConstrainedLayoutEngine):
    """Constrained layout whose places are the same, to the bit, each time that the same picture is laid out."""

    def execute(self, fig: Figure) -> None:
        """Lay out the figure."""
        super().execute(fig)
        # The solver takes its constraints in the order of their addresses, and so differs in the last bits.
        for ax in cast("list[Any]", fig.axes):
            for original in (False, True):
                corners: Float[np.ndarray, "2 2"] = ax.get_position(original).get_points()
                ax._set_position(Bbox(corners.round(9)), which="original" if original else "active")
            for axis, length in ((ax.xaxis, ax.bbox.width), (ax.yaxis, ax.bbox.height)):
                _fit(axis.label, length * 72 / fig.dpi + _BESIDE)


def new_figure(size: tuple[int, int], dpi: float, theme: Theme, *, heading: bool = True) -> Figure:
    """An empty figure of `size` pixels (width, height), with room for a heading."""
    figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi, facecolor=theme.surface)
    FigureCanvasAgg(figure)
    top = 1 - 0.42 * dpi / size[1] if heading else 1.0
    figure.set_layout_engine(Layout(rect=(0.004, 0.006, 0.988, top - 0.01), w_pad=0.06, h_pad=0.06))
    return figure


def _fit(label: Text, room: float) -> None:
    """Cut a label that would run into what is beside its Axes."""
    text = label.get_text()
    if "$" in text:  # whose width is not that of its characters
        return
    shown = "\n".join(fitted(line, room, float(label.get_fontsize())) for line in text.split("\n"))
    if shown != text:
        label.set_text(shown)


class Clock:
    """The heading: what is shown at the left, the epoch at the right."""

    def __init__(self, figure: Figure, heading: str, epochs: Float[np.ndarray, " frame"], theme: Theme) -> None:
        self._epochs = epochs
        # A name may be of any length: what would run into the clock is cut.
        longest = f"interpolated · epoch {epochs[-1]:.2f} of {epochs[-1]:g}"
        room = 0.96 * 72 * figure.get_figwidth() - text_width(longest, _HEADING)
        while len(heading) > 1 and text_width(heading, _HEADING) > room:
            heading = heading[:-2].rstrip(" ·,") + "\N{HORIZONTAL ELLIPSIS}"
        top = 1 - 0.09 / figure.get_figheight()
        figure.text(0.012, top, heading, fontsize=_HEADING, color=theme.ink, ha="left", va="top")
        baseline = top - 0.76 * _HEADING / 72 / figure.get_figheight()
        self._text = Ticker(0.988, baseline, transform=figure.transFigure, size=_HEADING, color=theme.ink)
        figure.add_artist(self._text)
        self.artists: list[Artist] = [self._text]

    def show(self, epoch: float) -> None:
        """Show this epoch, and whether it lies between two that were recorded."""
        recorded = bool((self._epochs == epoch).any())
        whole = f"{epoch:.0f}" if float(epoch).is_integer() else f"{epoch:.2f}"
        text = f"epoch {whole} of {self._epochs[-1]:g}"
        self._text.set_text(text if recorded else f"interpolated · {text}")


def describe(replay: Replay) -> str:
    """A run in one line: its name and the settings that matter most."""
    named = f"{replay.name} activation"
    return " · ".join([replay.name, *(text for text in _settings(replay.hyperparameters) if text != named)])


def shared_settings(replays: Sequence[Replay]) -> str:
    """The settings that several runs have in common, in one line."""
    lists = [_settings(replay.hyperparameters) for replay in replays]
    return " · ".join(setting for setting in lists[0] if all(setting in others for others in lists))


def _settings(hyperparameters: dict[str, object]) -> list[str]:
    activation = hyperparameters.get("activation")
    if isinstance(activation, list):
        activation = ", ".join(map(str, cast("list[object]", activation)))
    found = [f"{activation} activation"] if activation else []
    if hyperparameters.get("optimizer"):
        rate = hyperparameters.get("learning_rate")
        found.append(
            f"{hyperparameters['optimizer']}" + (f", learning rate {rate:g}" if isinstance(rate, float) else "")
        )
    if hyperparameters.get("batch_size"):
        found.append(f"mini-batch {hyperparameters['batch_size']}")
    return found


def distinct_titles(replays: Sequence[Replay]) -> list[str]:
    """A title for each run: the setting in which they differ if it is one only, or else its name."""
    settings = [replay.hyperparameters for replay in replays]
    names = [
        key
        for key in differing(settings)
        if "." not in key and len({repr(one.get(key)) for one in settings}) == len(settings)
    ]
    if len(names) == 1:
        return [f"{names[0].replace('_', ' ')}: {one.get(names[0])}" for one in settings]
    return [replay.name for replay in replays]

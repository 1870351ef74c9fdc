"""Scenes: whole figures of several panels with one clock."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Protocol

from ..errors import Unsupported
from ..measures import Classes, Quantities
from .layout import arrange
from .panels import BY_NAME, Predictions
from .stage import DPI, Clock, describe, new_figure
from .theme import THEMES, ThemeName

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from ..replay import Replay
    from .panel import Drawn, Panel


# So many cells, as panels count them, can be read at 1440 x 720.
_CELLS = 10


class Scene(Protocol):
    """A figure that can be moved to any epoch. `artists` are what changes, in drawing order."""

    figure: Figure
    artists: list[Artist]
    epochs: Float[np.ndarray, " frame"]

    def show(self, epoch: float) -> None:
        """Move every panel to this epoch; between two frames values are interpolated, and the figure says so."""
        ...


def usual(replay: Replay) -> tuple[str | Panel, ...]:
    """The panels that are shown unless others are asked for: those that suit the run's task."""
    try:
        task = replay.task()
    except Unsupported:  # an output with places, or of an unknown meaning
        return ("token_losses", "weights")
    space = "feature_space" if any(layer.units for layer in replay.layers[:-1]) else "decision_boundary"
    if isinstance(task, Quantities):
        several = len(task.names) > 1
        shown = (Predictions(span=(2, 2)),) if several else ("predictions", "residuals")
        return (space, *shown, "curves", "sample_losses")
    chances = "class_probabilities"
    if isinstance(task, Classes) and task.link == "identity":
        chances = "confusion"
    return (space, chances, "curves", "sample_losses")


class Panels:
    """Panels of one run, laid out by their spans, under a heading with the epoch."""

    def __init__(
        self,
        replay: Replay,
        panels: Sequence[Panel] | None = None,
        *,
        theme: ThemeName = "light",
        size: tuple[int, int] | None = None,
        dpi: float = DPI,
    ) -> None:
        colors = THEMES[theme]
        panels = panels_of(replay, None) if panels is None else panels
        self.epochs = replay.epochs
        self.size = width, height = size or _size_for(panels)
        self.figure = new_figure(self.size, dpi, colors)
        layout = arrange([panel.span for panel in panels], width / height)
        grid = self.figure.add_gridspec(layout.rows, layout.columns)
        self.drawn: list[Drawn] = [
            panel.draw(replay, grid[place], colors) for panel, place in zip(panels, layout.places, strict=True)
        ]
        self._clock = Clock(self.figure, describe(replay), self.epochs, colors)
        self.artists: list[Artist] = [
            *(artist for drawn in self.drawn for artist in drawn.artists),
            *self._clock.artists,
        ]

    def show(self, epoch: float) -> None:
        """Move every panel to this epoch."""
        for drawn in self.drawn:
            drawn.show(epoch)
        self._clock.show(epoch)


def _size_for(panels: Sequence[Panel]) -> tuple[int, int]:
    """1440 x 720 pixels, and more for more panels than that has room for."""
    cells = sum(rows * columns for rows, columns in (panel.span for panel in panels))
    scale = max(1.0, (cells / _CELLS) ** 0.5)
    return 2 * round(720 * scale), 2 * round(360 * scale)


def panels_of(replay: Replay, wanted: Sequence[str | Panel] | None, **options: object) -> list[Panel]:
    """Panels given by name or as they are; the usual ones of the run for None.

    Options that are not None go to the panels given by name that have them. Raises ValueError for a name that no panel
    has, or an option that none of them takes.
    """
    wanted = usual(replay) if wanted is None else wanted
    if not wanted:
        raise ValueError(f"panels is empty; choose some of {', '.join(BY_NAME)}")
    unknown = [name for name in wanted if isinstance(name, str) and name not in BY_NAME]
    if unknown:
        raise ValueError(f"there is no panel {unknown[0]!r}; there are {', '.join(BY_NAME)}")
    options = {key: value for key, value in options.items() if value is not None}
    taken = {key: {name for name in BY_NAME if key in _options_of(name)} for key in options}
    for key, names in taken.items():
        if not names & {name for name in wanted if isinstance(name, str)}:
            raise ValueError(f"none of these panels takes {key}=; {', '.join(sorted(names)) or 'no panel'} would")
    return [
        BY_NAME[one](**{key: value for key, value in options.items() if one in taken[key]})
        if isinstance(one, str)
        else one
        for one in wanted
    ]


def _options_of(name: str) -> set[str]:
    return {field.name for field in fields(BY_NAME[name])}

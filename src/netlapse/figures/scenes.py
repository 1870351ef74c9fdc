"""Scenes: whole figures of several panels with one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .blocks import CURVE_FRAMES, Blocks, overview, space_blocks
from .curves import CurvesPanel
from .histograms import LossPanel, ProbabilityPanel, largest_loss
from .planes import FeatureSpacePanel, class_legend
from .stage import DPI, Clock, describe, new_figure, two_unit_layer
from .theme import THEMES, ThemeName

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from ..measures import Limits
    from ..replay import Replay


class Scene(Protocol):
    """A figure that can be moved to any epoch. `artists` are what changes, in drawing order."""

    figure: Figure
    artists: list[Artist]
    epochs: Float[np.ndarray, " frame"]

    def show(self, epoch: float) -> None:
        """Move every panel to this epoch; between two frames values are interpolated, and the figure says so."""
        ...


class FivePanels:
    """The feature space, the probabilities of either class, accuracy and loss, the loss of every case."""

    def __init__(
        self,
        replay: Replay,
        *,
        layer: str | None = None,
        domain: Limits | None = None,
        theme: ThemeName = "light",
        size: tuple[int, int] = (1440, 720),
        dpi: float = DPI,
    ) -> None:
        colors = THEMES[theme]
        layer = layer or two_unit_layer(replay)
        self.epochs = replay.epochs
        few = overview(self.epochs)
        self._space = space_blocks(replay, layer, domain)
        self._probabilities = Blocks(replay.class_probabilities, self.epochs)
        losses = replay.sample_losses(few)
        self._losses = Blocks(replay.sample_losses, self.epochs, known=losses)
        first = float(self.epochs[0])

        self.figure = new_figure(size, dpi, colors)
        grid = self.figure.add_gridspec(2, 4, width_ratios=(1, 1, 1, 1))
        names = replay.class_names
        self._space_panel = FeatureSpacePanel(
            self.figure.add_subplot(grid[:, :2]), self._space.at(first), theme=colors, names=names
        )
        class_legend(self.figure.axes[0], self._space_panel.dots, colors)
        probabilities = self._probabilities.at(first)
        self._probability_panels = [
            ProbabilityPanel(
                self.figure.add_subplot(grid[row, 2]),
                probabilities,
                positive=bool(row),
                theme=colors,
                names=names,
            )
            for row in (0, 1)
        ]
        whole = replay.curves(overview(self.epochs, CURVE_FRAMES))
        self._curves = Blocks(replay.curves, self.epochs, known=whole)
        self._curves_panel = CurvesPanel(self.figure.add_subplot(grid[0, 3]), whole, theme=colors)
        self._loss_panel = LossPanel(
            self.figure.add_subplot(grid[1, 3]),
            self._losses.at(first),
            largest=largest_loss(losses),
            theme=colors,
        )
        self._clock = Clock(self.figure, describe(replay), self.epochs, colors)
        self.artists: list[Artist] = [
            *self._space_panel.artists,
            *(artist for panel in self._probability_panels for artist in panel.artists),
            *self._curves_panel.artists,
            *self._loss_panel.artists,
            *self._clock.artists,
        ]

    def show(self, epoch: float) -> None:
        """Move every panel to this epoch."""
        self._space_panel.show(self._space.at(epoch))
        probabilities = self._probabilities.at(epoch)
        for panel in self._probability_panels:
            panel.show(probabilities)
        self._curves_panel.show(self._curves.at(epoch))
        self._loss_panel.show(self._losses.at(epoch))
        self._clock.show(epoch)

"""Whole pictures of runs and data, each in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..measures import binary, plane
from .comparison import Comparison
from .learning_curves import LearningCurves
from .panel import CLASS_NAMES
from .planes import class_legend
from .scenes import FivePanels
from .shapes import Dots
from .stage import DPI, new_figure
from .theme import THEMES, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from ..measures import Limits
    from ..replay import Replay
    from .theme import ThemeName


def plot(
    replay: Replay,
    epoch: float | None = None,
    *,
    layer: str | None = None,
    domain: Limits | None = None,
    theme: ThemeName = "light",
    size: tuple[int, int] = (1440, 720),
    dpi: float = DPI,
) -> Figure:
    """Draw the five panels of a run at one epoch, the last by default.

    All scales are those of the whole run, so that pictures of different epochs can be compared. Raises MissingFrame
    for an epoch that was not recorded, Unsupported for networks that these panels cannot show.
    """
    [shown] = replay.recorded_epochs([float(replay.epochs[-1]) if epoch is None else epoch])
    scene = FivePanels(replay, layer=layer, domain=domain, theme=theme, size=size, dpi=dpi)
    scene.show(float(shown))
    return scene.figure


def compare(
    replays: Sequence[Replay],
    epoch: float | None = None,
    *,
    layer: str | None = None,
    domain: Limits | None = None,
    curves: bool = True,
    theme: ThemeName = "light",
    size: tuple[int, int] | None = None,
    dpi: float = DPI,
) -> Figure:
    """Draw several runs side by side at one epoch, the last that all have by default.

    Feature spaces above, decision boundaries in the input plane below; with `curves`, accuracy and loss of all runs
    on shared axes at the right. Errors as for `plot`.
    """
    scene = Comparison(replays, layer=layer, domain=domain, curves=curves, theme=theme, size=size, dpi=dpi)
    shown = float(scene.epochs[-1]) if epoch is None else epoch
    for replay in replays:
        replay.recorded_epochs([shown])
    scene.show(shown)
    return scene.figure


def learning_curves(
    replays: Sequence[Replay],
    *,
    theme: ThemeName = "light",
    size: tuple[int, int] = (1440, 620),
    dpi: float = DPI,
) -> Figure:
    """Draw accuracy and mean loss of several runs on one pair of axes."""
    figure = new_figure(size, dpi, THEMES[theme], heading=False)
    axes = figure.subplots(1, 2)
    LearningCurves(replays, list(axes), theme=theme)
    return figure


def data_set(
    inputs: ArrayLike,
    targets: ArrayLike,
    ax: Axes,
    *,
    names: Sequence[str] = CLASS_NAMES,
    theme: ThemeName = "light",
    title: str = "Data set",
) -> list[Artist]:
    """Draw the examples of a binary data set of two features. Raises Unsupported for other labels."""
    points, colors = np.asarray(inputs), THEMES[theme]
    positive = binary.labels(np.asarray(targets))
    limits = plane.widen(plane.domain(points), 0.05)
    style_axes(ax, colors, title=title, xlabel="input $x_1$", ylabel="input $x_2$")
    ax.set(xlim=limits[0], ylim=limits[1])
    dots = [Dots(ax, color, label=name) for color, name in zip((colors.negative, colors.positive), names, strict=True)]
    for part, which in zip(dots, (~positive, positive), strict=True):
        part.set_positions(points[which])
    class_legend(ax, dots, colors)
    return list(dots)

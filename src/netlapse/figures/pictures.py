"""Whole pictures of runs and data, each in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..measures import plane, task_of
from .comparison import Comparison
from .groups import Groups
from .learning_curves import LearningCurves
from .planes import class_legend
from .scenes import Panels, panels_of
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
    from .panel import Panel
    from .theme import ThemeName


def plot(
    replay: Replay,
    epoch: float | None = None,
    *,
    panels: Sequence[str | Panel] | None = None,
    layer: str | None = None,
    domain: Limits | None = None,
    theme: ThemeName = "light",
    size: tuple[int, int] | None = None,
    dpi: float = DPI,
) -> Figure:
    """Draw panels of a run at one epoch, the last by default.

    `panels` are names such as "feature_space", "decision_boundary" and "curves", or members of `netlapse.panels` with
    options of their own, in the order in which they fill the picture; `layer` and `domain` go to those given by name.
    `size` is width and height in pixels, by default 1440 x 720, and more where many panels need it.
    All scales are those of the whole run, so that pictures of different epochs can be compared. Raises MissingFrame
    for an epoch that was not recorded, Unsupported for networks that these panels cannot show.
    """
    [shown] = replay.recorded_epochs([float(replay.epochs[-1]) if epoch is None else epoch])
    scene = Panels(replay, panels_of(replay, panels, layer=layer, domain=domain), theme=theme, size=size, dpi=dpi)
    scene.show(float(shown))
    return scene.figure


def compare(
    replays: Sequence[Replay],
    epoch: float | None = None,
    *,
    panels: Sequence[str | Panel] | None = None,
    layer: str | None = None,
    domain: Limits | None = None,
    curves: bool | None = None,
    theme: ThemeName = "light",
    size: tuple[int, int] | None = None,
    dpi: float = DPI,
) -> Figure:
    """Draw several runs side by side at one epoch, the last that all have by default.

    Each run is a column, titled with the setting in which the runs differ; each of `panels` is a row, given as for
    `plot`. By default these are feature spaces, and below them decision boundaries in the input plane. With `curves`,
    accuracy and loss of all runs are drawn on shared axes at the right: by default unless there is a row of curves.

    Panels given by name can be compared by eye. Feature spaces of layers of one name and width share one projection,
    and all planes show the same part of the two inputs; the limits of each feature space are its own, for its regions
    are computed up to them. Rows of curves, statistics, and what layers hold (as violins, bands or ridges) share their
    scales. Histograms end, and colours begin and end, where those of each run do.

    `size` is found from rows and columns when None. Raises ValueError without runs, or for panels or options that there
    are not; MissingFrame for an epoch that not all runs have; Unsupported, with the run's name, for panels that cannot
    show it.
    """
    scene = Comparison(
        replays, panels=panels, layer=layer, domain=domain, curves=curves, theme=theme, size=size, dpi=dpi
    )
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
    names: Sequence[str] | None = None,
    theme: ThemeName = "light",
    title: str = "Data set",
) -> list[Artist]:
    """Draw the examples of a data set of two features. Raises Unsupported for labels other than 0, 1, ..."""
    points, labels, colors = np.asarray(inputs), np.asarray(targets), THEMES[theme]
    classes = max(2, int(labels.max()) + 1)
    units = 1 if classes == 2 else classes
    task = task_of(labels, link="sigmoid" if units == 1 else "softmax", units=units, names=names)
    groups = Groups(task, colors)
    limits = plane.widen(plane.domain(points), 0.05)
    style_axes(ax, colors, title=title, xlabel="input $x_1$", ylabel="input $x_2$")
    ax.set(xlim=limits[0], ylim=limits[1])
    dots = groups.dots(ax)
    for number, part in enumerate(dots):
        part.set_positions(points[groups.of_example == number])
    class_legend(ax, dots, colors)
    return list(dots)

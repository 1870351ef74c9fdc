"""The panels of weight space: the trajectory, the loss surface, the straight line between two networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from ..blocks import Blocks, overview
from ..interpolation import InterpolationPanel
from ..panel import Moving, Still, axes_in
from ..weight_space import LossSurfacePanel, TrajectoryPanel

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec

    from ...measures.loss_surface import Progress
    from ...replay import Replay
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class LossSurface:
    """The loss around the run's trajectory, in the plane in which it moved most ("pca") or in one of random directions.

    `resolution` squared points are evaluated when it is drawn; `progress(done, total)` is told.
    """

    kind: Literal["pca", "random"] = "pca"
    resolution: int = 41
    split: Literal["train", "validation"] = "train"
    seed: int = 0
    progress: Progress | None = None
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        plane = replay.weight_plane(kind=self.kind, seed=self.seed)
        way = partial(replay.trajectory, plane=plane, split=self.split)
        whole = way(overview(replay.epochs))
        surface = replay.loss_surface(plane, split=self.split, resolution=self.resolution, progress=self.progress)
        panel = LossSurfacePanel(axes_in(area), surface, whole, theme=theme)
        return Moving(Blocks(way, replay.epochs, known=whole), panel)


@dataclass(frozen=True)
class Trajectory:
    """The run's way through weight space, in the plane in which it moved most."""

    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        way = partial(replay.trajectory, plane=replay.weight_plane())
        whole = way(overview(replay.epochs))
        return Moving(Blocks(way, replay.epochs, known=whole), TrajectoryPanel(axes_in(area), whole, theme=theme))


@dataclass(frozen=True)
class Interpolation:
    """The loss on the straight line between two epochs, by default the first and the last, or to another run's."""

    first: float | None = None
    second: float | None = None
    other: Replay | None = None
    split: Literal["train", "validation"] = "train"
    span: tuple[int, int] = (1, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        end = replay if self.other is None else self.other
        # To another run the way leads from where this one ended.
        start = replay.epochs[0 if self.other is None else -1]
        line = replay.interpolation(
            float(start) if self.first is None else self.first,
            float(end.epochs[-1]) if self.second is None else self.second,
            self.other,
            split=self.split,
        )
        InterpolationPanel(axes_in(area), line, theme=theme)
        return Still()

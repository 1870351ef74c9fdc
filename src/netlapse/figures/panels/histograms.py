"""The panels of histograms: probabilities and losses of the examples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...measures import Classes
from ..blocks import Blocks, frames_within, overview
from ..groups import Groups
from ..histograms import LossPanel, OwnProbabilityPanel, ProbabilityPanel
from ..panel import Moving, axes_in, figure_of, whose

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec

    from ...replay import Replay
    from ...replay.values import Split
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class ClassProbabilities:
    """The probabilities that the examples of each class are given.

    Of two classes two histograms of the second one's probability; of more a row for each, of that of the own class.
    Of several labels, `label` is the one that is shown, with and without.
    """

    label: str | None = None
    split: Split = "train"
    output: str | None = None
    span: tuple[int, int] = (2, 1)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        compute = partial(replay.class_probabilities, split=self.split, output=self.output, label=self.label)
        first = compute(replay.epochs[:1].tolist())
        blocks = Blocks(compute, replay.epochs, at_once=frames_within(first.probabilities.nbytes))
        what = whose(replay, self.split, self.output)
        if len(first.names) > 2:
            groups = Groups(Classes(first.labels, first.names), theme)
            return Moving(blocks, OwnProbabilityPanel(axes_in(area), first, groups, theme=theme, whose=what))
        grid = area.subgridspec(2, 1)
        panels = [
            ProbabilityPanel(figure_of(area).add_subplot(grid[row]), first, of=row, theme=theme, whose=what)
            for row in (0, 1)
        ]
        return Moving(blocks, *panels)


@dataclass(frozen=True)
class SampleLosses:
    """The loss of every example."""

    split: Split = "train"
    output: str | None = None
    span: tuple[int, int] = (1, 1)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        compute = partial(replay.sample_losses, split=self.split, output=self.output)
        losses = compute(overview(replay.epochs))
        blocks = Blocks(compute, replay.epochs, known=losses)
        return Moving(blocks, LossPanel(axes_in(area), losses, theme=theme, whose=whose(replay, self.split)))

"""The panels of examples: the map of the data set, the order of learning, the hardest examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import Unsupported
from ..blocks import Blocks
from ..cartography import CartographyPanel
from ..hard_examples import HardExamplesPanel, most
from ..learning_order import LearningOrderPanel
from ..panel import Moving, Still, axes_in, entitle, figure_of, whose

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec
    from numpy.typing import NDArray

    from ...replay import Replay
    from ...replay.values import Split
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class Cartography:
    """The examples by how surely and how steadily they were given their labels, over the whole run."""

    split: Split = "train"
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        ax = axes_in(area)
        CartographyPanel(ax, replay.example_dynamics(split=self.split), theme=theme)
        entitle(ax, whose(replay, self.split))
        return Still()


@dataclass(frozen=True)
class LearningOrder:
    """The share of each class that is learnt, and when every example was right and wrong."""

    split: Split = "train"
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        rows, figure = area.subgridspec(2, 1, height_ratios=(2, 3)), figure_of(area)
        axes = [figure.add_subplot(rows[0]), figure.add_subplot(rows[1])]
        panel = LearningOrderPanel(axes, replay.example_dynamics(split=self.split), theme=theme)
        entitle(axes[0], whose(replay, self.split))
        return panel


@dataclass(frozen=True)
class HardExamples:
    """The `n` examples of the highest mean loss over the run, or as many of them as can be read.

    `shape` says which images flat inputs are, such as (8, 8); `feature_names` are those of inputs that are no images.
    """

    n: int = 25
    shape: tuple[int, ...] | None = None
    feature_names: tuple[str, ...] = ()
    split: Split = "train"
    span: tuple[int, int] = (2, 4)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        grid, figure = area.get_gridspec(), figure_of(area)
        wide, high = figure.get_size_inches() * 72
        # Less the heading, the title and the margins.
        room = 0.97 * wide * len(area.colspan) / grid.ncols, (high - 36) * len(area.rowspan) / grid.nrows - 30
        measure = replay.example_dynamics(split=self.split)
        places = measure.worst(min(self.n, most(room))).tolist()
        ax = axes_in(area)
        panel = HardExamplesPanel(
            ax,
            measure,
            places,
            _only_array(replay, self.split),
            room=room,
            theme=theme,
            shape=self.shape,
            feature_names=self.feature_names,
        )
        entitle(ax, whose(replay, self.split))
        compute = partial(replay.class_probabilities, examples=places, split=self.split)
        blocks = Blocks(compute, replay.epochs)
        return Moving(blocks, panel)


def _only_array(replay: Replay, split: Split) -> NDArray[Any]:
    inputs: Any = replay.inputs(split)
    arrays: list[Any] = [*inputs.values()] if isinstance(inputs, Mapping) else [inputs]
    if len(arrays) != 1:
        raise Unsupported(f"run {replay.name!r} has {len(arrays)} inputs; the cards of examples show networks of one")
    return arrays[0]

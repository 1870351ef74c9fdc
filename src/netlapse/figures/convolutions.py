"""Filters and feature maps of convolutional layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .mosaic import Mosaic, names_of, range_of, wrap
from .panel import last_epoch
from .theme import LABEL, THEMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import FeatureMaps, Filters
    from .theme import Theme, ThemeName

# More input channels than this have a row of tiles each; fewer are put below one another in every row of units.
_FEW_CHANNELS = 4


class FiltersPanel:
    """The kernel of each unit for each input channel; `largest` is the weight at either end of the scale."""

    def __init__(self, ax: Axes, measure: Filters, *, largest: float, theme: Theme) -> None:
        _, units, channels, *tile = measure.kernels.shape
        bands, across = (1, units) if channels > _FEW_CHANNELS else wrap(units, channels)
        self._bands = bands, across
        self.mosaic = Mosaic(
            ax,
            (bands * channels, across),
            (tile[0], tile[1]),
            limits=(-largest, largest),
            colors="RdBu_r",
            unit="weight",
            theme=theme,
            title=f"Filters of {measure.layer}",
        )
        shown = names_of(measure.units, measure.total[0], "unit")
        inputs = names_of(measure.channels, measure.total[1], "input channel")
        if bands == 1:
            self.mosaic.label_columns([str(unit) for unit in measure.units])
            self.mosaic.label_rows([str(channel) for channel in measure.channels])
            ax.set_ylabel(inputs, fontsize=LABEL, color=theme.ink)
        else:
            starts = range(0, units, across)
            names = [_span(measure.units[start : start + across].tolist()) for start in starts]
            self.mosaic.label_rows(names, channels)
            if measure.total[1] > 1:
                shown += f"; below one another: {inputs}"
        ax.set_xlabel(shown, fontsize=LABEL, color=theme.ink)
        self.artists: list[Artist] = self.mosaic.artists

    def show(self, measure: Filters) -> None:
        """Show the kernels at its one frame."""
        bands, across = self._bands
        _, units, channels, *tile = measure.kernels.shape
        tiles = np.full((bands * across, channels, *tile), np.nan, measure.kernels.dtype)
        tiles[:units] = measure.kernels[0]
        rows = tiles.reshape(bands, across, channels, *tile).swapaxes(1, 2)
        self.mosaic.show(rows.reshape(bands * channels, across, *tile), measure.kernels[0])


class FeatureMapsPanel:
    """A row for each example: the example itself, and what each unit makes of it. `limits` are those of the scale."""

    def __init__(
        self,
        ax: Axes,
        measure: FeatureMaps,
        *,
        limits: tuple[float, float],
        theme: Theme,
        names: Sequence[str] | None = None,
    ) -> None:
        _, examples, units, *tile = measure.maps.shape
        self._first = 0 if measure.images is None else 1
        self.mosaic = Mosaic(
            ax,
            (examples, units + self._first),
            (tile[0], tile[1]),
            limits=limits,
            colors="viridis",
            unit="activation",
            theme=theme,
            title=f"Feature maps of {measure.layer}",
        )
        for row, image in enumerate(() if measure.images is None else measure.images):
            ax.imshow(image, extent=self.mosaic.extent(row, 0), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        self.mosaic.fit()
        self.mosaic.label_columns(["input"] * self._first + [str(unit) for unit in measure.units])
        self.mosaic.label_rows(names or [str(example) for example in measure.examples])
        ax.set_xlabel(names_of(measure.units, measure.total, "unit"), fontsize=LABEL, color=theme.ink)
        ax.set_ylabel("" if names else "example", fontsize=LABEL, color=theme.ink)
        self.artists: list[Artist] = self.mosaic.artists

    def show(self, measure: FeatureMaps) -> None:
        """Show the maps at its one frame."""
        [maps] = measure.maps
        empty = np.full((len(maps), self._first, *maps.shape[2:]), np.nan, maps.dtype)
        self.mosaic.show(np.concatenate([empty, maps], axis=1), maps)


def filters(measure: Filters, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light") -> list[Artist]:
    """Draw the filters of a convolution at one epoch, the last by default. Returns the artists."""
    panel = FiltersPanel(ax, measure, largest=max(map(abs, range_of(measure.kernels))), theme=THEMES[theme])
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def feature_maps(
    measure: FeatureMaps,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
    names: Sequence[str] | None = None,
) -> list[Artist]:
    """Draw what units make of examples at one epoch, the last by default; `names` are the examples'."""
    panel = FeatureMapsPanel(ax, measure, limits=range_of(measure.maps), theme=THEMES[theme], names=names)
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists


def _span(numbers: list[int]) -> str:
    """Numbers in few words."""
    if numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 1:
        return f"{numbers[0]}\N{EN DASH}{numbers[-1]}"
    return ", ".join(map(str, numbers))

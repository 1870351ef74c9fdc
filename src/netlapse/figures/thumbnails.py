"""Many small heatmaps drawn at once, pixel by pixel: the nodes of a network."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgba
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from .theme import blend

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from numpy.typing import NDArray

    from .theme import Theme


def signed(theme: Theme, *, middle: str | None = None, strength: float = 1) -> Colormap:
    """Colours from negative over `middle`, the surface by default, to positive; what is not a number is `wrong`.

    A lesser strength leaves the full colours to what lies above.
    """
    low, high = (blend(theme.surface, color, strength) for color in (theme.negative, theme.positive))
    return LinearSegmentedColormap.from_list("", [low, middle or theme.surface, high]).with_extremes(bad=theme.wrong)


class Thumbnails(Artist):
    """Heatmaps as the nodes of a network, rounded, each in a frame; maps of one pixel are plain discs.

    An AxesImage for each would cost a millisecond apiece. `places` are their centres and `pitch` the room for one, as
    shares of the Axes; the colours of each go from one end of its range to the other.
    """

    def __init__(
        self,
        ax: Axes,
        places: Float[np.ndarray, "node 2"],
        *,
        pitch: tuple[float, float],
        ranges: Float[np.ndarray, "node 2"],
        theme: Theme,
    ) -> None:
        super().__init__()
        self._places, self._pitch, self._ranges = places, pitch, ranges
        self._edge = to_rgba(theme.muted)
        colors = signed(theme)
        # Its last entry is what is not a number.
        self._colors = np.concatenate([colors(np.arange(256)), colors([np.nan])])
        self._colors = (255 * self._colors).round().astype(np.uint8)
        self.maps: Float[np.ndarray, "node row column"] = np.zeros((len(places), 1, 1))
        self.set_zorder(3)
        ax.add_artist(self)

    def set_maps(self, maps: Float[np.ndarray, "node row column"]) -> None:
        """Show these activations, the first row of each at the bottom."""
        self.maps = maps
        self.stale = True

    def pixels(self, side: int) -> UInt8[np.ndarray, "node row column 4"]:
        """The heatmaps as pictures of so many pixels, the first row at the bottom, as renderers take them."""
        rows, columns = (_stretch(size, side) for size in self.maps.shape[1:])
        with np.errstate(invalid="ignore", over="ignore"):
            low, high = self._ranges.T[:, :, None, None]
            values = rows @ ((self.maps - low) / (high - low)) @ columns.T
            shares = np.clip(255 * values, 0, 255)
        found = self._colors[np.where(np.isnan(shares), 256, shares).astype(np.intp)]
        found[..., 3] = _round_mask(side, self._roundness)
        return found

    @property
    def _roundness(self) -> float:
        return 0.5 if self.maps.shape[1:] == (1, 1) else 0.14

    def draw(self, renderer: RendererBase) -> None:
        """Paint all heatmaps, and their frames as one path."""
        assert self.axes is not None
        box = self.axes.bbox
        scale = renderer.get_image_magnification()
        side = max(
            int(0.8 * min(self._pitch[0] * box.width, self._pitch[1] * box.height, 1.4 * self.axes.figure.dpi)), 4
        )
        corners = np.round(self.axes.transAxes.transform(self._places) - side / 2)
        gc = renderer.new_gc()
        for (x, y), pixels in zip(corners, self.pixels(int(side * scale)), strict=True):
            renderer.draw_image(gc, float(x), float(y), pixels)
        gc.set_linewidth(1.0)
        gc.set_foreground(self._edge, isRGBA=True)
        outline, codes = _outline(self._roundness)
        frames = (side * outline + corners[:, None]).reshape(-1, 2)
        renderer.draw_path(gc, Path(frames, np.tile(codes, len(corners))), Affine2D())
        gc.restore()


@lru_cache(maxsize=32)
def _stretch(size: int, pixels: int) -> NDArray[Any]:
    """Linear interpolation as a matrix, from `size` values, the first and last at the ends, to so many pixels."""
    places = np.linspace(0, size - 1, pixels)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(size)), 0).astype(np.float32)


@lru_cache(maxsize=32)
def _round_mask(side: int, roundness: float) -> NDArray[Any]:
    """How much of each pixel of a square with round corners is covered, 0 to 255."""
    reach = np.abs(np.arange(side) + 0.5 - side / 2) - (side / 2 - roundness * side)
    outside = np.hypot(*np.meshgrid(np.maximum(reach, 0), np.maximum(reach, 0))) - roundness * side
    return (255 * np.clip(0.5 - outside, 0, 1)).astype(np.uint8)


@lru_cache(maxsize=4)
def _outline(roundness: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """A unit square with round corners, and its path codes."""
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.column_stack([np.cos(turns), np.sin(turns)])
    points = 0.5 + (0.5 - roundness) * np.sign(circle.round(9)) + roundness * circle
    closed = np.concatenate([points, points[:1]])
    return closed, np.array([Path.MOVETO, *[Path.LINETO] * (len(closed) - 2), Path.CLOSEPOLY], Path.code_type)

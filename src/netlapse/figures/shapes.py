"""Shapes that can be redrawn fast: many dots as one path, decision regions, broken lines."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

import contourpy
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath, text_to_path
from matplotlib.transforms import IdentityTransform

from .theme import TICK

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Transform
    from numpy.typing import NDArray

EMPTY = Path(np.zeros((0, 2)))

_CORNERS = 8
_ANGLES = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
_DISC = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


class Dots(PathPatch):
    """Many small discs as one path, placed to a fraction of a pixel.

    Agg draws markers at whole pixels, so that they jitter in a film; a path it draws where it belongs.
    """

    def __init__(self, ax: Axes, color: str, *, radius: float = 1.6, zorder: float = 3, label: str = "") -> None:
        super().__init__(EMPTY, facecolor=color, linewidth=0, transform=IdentityTransform(), zorder=zorder, label=label)
        self.positions: Float[np.ndarray, "example 2"] = np.zeros((0, 2))
        self._radius = radius
        ax.add_artist(self)
        self.set_clip_box(ax.bbox)

    def set_positions(self, positions: Float[np.ndarray, "example 2"]) -> None:
        """Move the dots to these data coordinates. What is not finite is not drawn."""
        self.positions = positions[np.isfinite(positions).all(axis=1)]
        self.stale = True

    def draw(self, renderer: RendererBase) -> None:
        """Place the discs on the canvas as it is now, and draw them."""
        assert self.axes is not None
        centres = self.axes.transData.transform(self.positions)
        radius = renderer.points_to_pixels(self._radius)
        corners = centres[:, None, :] + radius * _DISC[None, :, :]
        closed = np.concatenate([corners, corners[:, :1]], axis=1).reshape(-1, 2)
        self.set_path(Path(closed, _codes(len(centres))) if len(centres) else EMPTY)
        super().draw(renderer)


@lru_cache(maxsize=16)
def _codes(discs: int) -> NDArray[Any]:
    return np.tile(np.array([Path.MOVETO, *[Path.LINETO] * (_CORNERS - 1), Path.CLOSEPOLY], Path.code_type), discs)


class Beneath:
    """A place at the foot of a text, wherever that is: below a label that the layout moves."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def transform(self, offset: tuple[float, float]) -> tuple[float, float]:
        """The middle of the text's lower edge, and `offset` points from there, on the canvas."""
        box = self._text.get_window_extent()
        scale = cast("Figure", self._text.figure).dpi / 72
        return (box.x0 + box.x1) / 2 + scale * offset[0], box.y0 + scale * offset[1]


class Ticker(PathPatch):
    """Text that changes with every frame, drawn as the outlines of its characters.

    Setting and hinting a new text costs Agg a millisecond; these outlines are found once per character.
    `x` and `y` place the end of its baseline, or what `align` says.
    """

    def __init__(
        self,
        x: float,
        y: float,
        *,
        transform: Transform | Beneath,
        size: float,
        color: str,
        align: Literal["left", "center", "right"] = "right",
    ) -> None:
        super().__init__(EMPTY, facecolor=color, linewidth=0, transform=IdentityTransform(), zorder=6)
        self._place, self._anchor, self._align = transform, (x, y), align
        self._size = size
        self._text = ""
        self.set_in_layout(False)

    def set_text(self, text: str) -> None:
        """Change the text."""
        self._text = text
        self.stale = True

    def get_text(self) -> str:
        """The text shown."""
        return self._text

    def draw(self, renderer: RendererBase) -> None:
        """Place the characters on the canvas as it is now, and draw them."""
        glyphs = [_glyph(character, self._size) for character in self._text]
        if not glyphs:
            return
        ends = np.cumsum([width for *_, width in glyphs])
        before = {"left": 0.0, "center": ends[-1] / 2, "right": ends[-1]}[self._align]
        starts = ends - [width for *_, width in glyphs] - before
        outlines = np.concatenate(
            [points + np.array([start, 0.0]) for (points, _, _), start in zip(glyphs, starts, strict=True)]
        )
        codes = np.concatenate([codes for _, codes, _ in glyphs])
        anchor = self._place.transform(self._anchor)
        self.set_path(Path(np.asarray(anchor) + renderer.points_to_pixels(1.0) * outlines, codes))
        super().draw(renderer)


def text_width(text: str, size: float) -> float:
    """How wide a text of this size is, in points."""
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    return width


def fitted(text: str, room: float, size: float = TICK) -> str:
    """The text, cut at its end to a width of so many points."""
    while len(text) > 1 and text_width(text, size) > room:
        text = text.rstrip("\N{HORIZONTAL ELLIPSIS}")[:-1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    return text


@lru_cache(maxsize=512)
def _glyph(character: str, size: float) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Outline in points, its path codes, and the width to the next character."""
    width = text_width(character, size)
    if character.isspace():
        return np.zeros((0, 2)), np.zeros(0, Path.code_type), width
    outline = TextPath((0, 0), character, prop=FontProperties(size=size))
    return np.asarray(outline.vertices), np.asarray(outline.codes), width


def regions(x: NDArray[Any], y: NDArray[Any], z: NDArray[Any]) -> tuple[Path, Path]:
    """Where z is below and where it is above 0, on a rectangular or a warped grid. NaN is neither."""
    generator = contourpy.contour_generator(x, y, z, fill_type=contourpy.FillType.ChunkCombinedCode)
    below, above = generator.filled(-np.inf, 0.0), generator.filled(0.0, np.inf)
    return path_of(below), path_of(above)


def edge(x: NDArray[Any], y: NDArray[Any], z: NDArray[Any]) -> Path:
    """Where z is 0."""
    generator = contourpy.contour_generator(x, y, z, line_type=contourpy.LineType.ChunkCombinedCode)
    return path_of(generator.lines(0.0))


def path_of(chunks: Any) -> Path:
    """Contours in one chunk, with codes, as one path."""
    (points,), (codes,) = chunks
    return EMPTY if points is None else Path(points, codes)


def broken(lines: Float[np.ndarray, "line point 2"]) -> Float[np.ndarray, "vertex 2"]:
    """Several lines as the vertices of one, with a gap after each."""
    gap = np.full((len(lines), 1, 2), np.nan, lines.dtype)
    return np.concatenate([lines, gap], axis=1).reshape(-1, 2)

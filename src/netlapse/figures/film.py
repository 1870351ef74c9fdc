"""Films: a scene moved from epoch to epoch, streamed to mp4, GIF or WebP."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..errors import MissingFrame
from .comparison import Comparison
from .encoders import SUFFIXES, encoder
from .scenes import Panels, panels_of
from .stage import DPI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jaxtyping import Float, UInt8
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from ..measures import Limits
    from ..replay import Replay
    from .panel import Panel
    from .scenes import Scene
    from .theme import ThemeName

    Rgba = UInt8[np.ndarray, "row column 4"]


def film(
    replay: Replay | Sequence[Replay],
    path: str | Path,
    *,
    panels: Sequence[str | Panel] | None = None,
    layer: str | None = None,
    curves: bool | None = None,
    epochs: slice | Sequence[float] | None = None,
    fps: float = 15,
    size: tuple[int, int] | None = None,
    dpi: float = DPI,
    between: int = 0,
    domain: Limits | None = None,
    theme: ThemeName = "light",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make the film of a run, or of several runs side by side. Returns its path.

    Parameters
    ----------
    path
        Where it goes; its suffix says how: .mp4 (H.264, plays everywhere), .gif or .webp.
    panels
        What is shown of a run, by name or as members of `netlapse.panels` with options of their own, in the order in
        which they fill the picture; those of `netlapse.plot` by default. Of several runs each is a row, as in
        `netlapse.compare`, and shares what rows share there.
    layer
        The layer whose feature space is shown; by default the last hidden one of two units, or else the last one.
    curves
        Whether accuracy and loss of several runs are at the right, on shared axes: see `netlapse.compare`.
    epochs
        Some epochs, or a slice of them with both ends included; all by default.
    fps, size, dpi
        Frames per second; width and height in pixels, found from what is shown when None; pixels per inch, which scales
        the text.
    between
        Frames to put between every two recorded ones. Their values are interpolated, and they say so.
    domain
        The part of the input plane whose image is shown; the square around the data by default.
    progress
        Called with the frames done and all frames.

    The same run gives the same frames, byte for byte. Raises ValueError for another suffix, for panels that there are
    not, or for options that nothing shown takes; MissingFrame for epochs that were not recorded, by all of several
    runs; Unsupported, with the run's name, for networks that these panels cannot show.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path} has the suffix {path.suffix!r}; films are made as {', '.join(SUFFIXES)}")
    replays = replay if isinstance(replay, Sequence) else [replay]
    recorded = reduce(np.intersect1d, [each.recorded_epochs(epochs) for each in replays])
    if len(recorded) == 0:
        raise MissingFrame("the runs have none of these epochs in common; record them with the same `every`")
    chosen = with_between(recorded, between)
    scene: Scene
    if isinstance(replay, Sequence):
        scene = Comparison(
            replay,
            panels=panels,
            layer=layer,
            domain=domain,
            curves=curves,
            theme=theme,
            size=size and _even(size),
            dpi=dpi,
        )
    else:
        if curves is not None:
            raise ValueError("curves= are those of several runs beside each other; of one run, they are a panel")
        shown = panels_of(replay, panels, layer=layer, domain=domain)
        scene = Panels(replay, shown, theme=theme, size=size and _even(size), dpi=dpi)
    size = scene.size
    path.parent.mkdir(parents=True, exist_ok=True)
    with encoder(path, size, fps) as encode:
        for number, frame in enumerate(frames(scene, chosen), start=1):
            encode(frame)
            if progress is not None:
                progress(number, len(chosen))
    return path


def frames(scene: Scene, epochs: Sequence[float]) -> Iterator[Rgba]:
    """The scene's pictures at these epochs.

    Everything that stays is drawn once. For each frame that background is copied back and only what changes is drawn
    over it, straight with the renderer. Every frame is the same array: copy it to keep it.
    """
    canvas = cast("FigureCanvasAgg", scene.figure.canvas)
    scene.show(epochs[0])
    layout = scene.figure.get_layout_engine()
    if layout is not None:  # settled once, then frozen
        layout.execute(scene.figure)
        scene.figure.set_layout_engine("none")
    for artist in scene.artists:
        artist.set_animated(True)
    canvas.draw()
    renderer = canvas.get_renderer()
    picture = np.asarray(canvas.buffer_rgba())
    background = picture.copy()
    for epoch in epochs:
        np.copyto(picture, background)
        scene.show(epoch)
        for artist in scene.artists:
            artist.draw(renderer)
        yield picture


def with_between(epochs: Float[np.ndarray, " frame"], between: int) -> list[float]:
    """Epochs with `between` evenly spaced ones in every gap."""
    if between < 0:
        raise ValueError(f"between={between}: pass 0 or more frames to put between two recorded ones")
    if between == 0 or len(epochs) < 2:
        return epochs.tolist()
    positions = np.arange((len(epochs) - 1) * (between + 1) + 1) / (between + 1)
    return np.interp(positions, np.arange(len(epochs)), epochs).tolist()


def _even(size: tuple[int, int]) -> tuple[int, int]:
    # Video halves the resolution of colours.
    return size[0] + size[0] % 2, size[1] + size[1] % 2

"""Runs in notebooks: a widget or, without anywidget, the page; and a picture for files that the notebook becomes."""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import NetlapseError, Unsupported
from .replay.outputs import evenly
from .store.examples import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .replay import Replay
    from .view.framed import Framed
    from .view.widget import Viewer

    Shown = Viewer | Framed
    # What a notebook is given of a value: by media type, and more about each.
    Bundle = tuple[dict[str, Any], dict[str, Any]]

# Pictures are of so many frames, and examples: their scales need no more.
_MOST_FRAMES, _MOST_EXAMPLES = 60, 1000
_LEAST_HEIGHT = 200


def show(*replays: Replay, epoch: float | None = None, layer: str | None = None, height: int = 680) -> Shown:
    """Look at a run, or several side by side, in a notebook's cell: the last line of a cell shows it.

    With anywidget (`pip install "netlapse[notebook]"`) it is a `Viewer`, which Python can move: `viewer.epoch = 60`,
    `viewer.selected = [3, 7]`, `viewer.layer`, `viewer.playing`, and which follows a training. Without, it is the page
    in a frame. `epoch` and `layer` are what is seen first, by default the first frame, or the last of a training that
    goes on; `height` is in CSS pixels. Raises MissingFrame and UnknownName for an epoch or layer that there is not.
    """
    if not replays:
        raise ValueError("there are no runs to show; pass at least one replay")
    if height < _LEAST_HEIGHT:
        raise ValueError(f"height={height}: the viewer needs at least {_LEAST_HEIGHT} pixels")
    # Drawing and viewing do not know each other.
    given: dict[str, Any] = {
        "epoch": epoch,
        "layer": layer,
        "height": height,
        "picture": partial(picture, replays),
    }
    if find_spec("anywidget") is None:
        from .view.framed import Framed

        return Framed(replays, **given)
    from .view.widget import Viewer

    return Viewer(replays, **given)


def bundle(replay: Replay) -> Bundle:
    """What a notebook shows of a replay. A terminal, which asks too, gets its name."""
    plain = {"text/plain": repr(replay)}
    if _in_terminal():
        return plain, {}
    try:
        data, metadata = show(replay)._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]
    except NetlapseError as error:  # a run without frames, above all
        return {"text/plain": f"{replay!r}: {error}"}, {}
    return {**data, **plain}, metadata


def picture(replays: Sequence[Replay], epoch: float, layer: str | None) -> bytes:
    """The usual panels at an epoch as a PNG; nothing of what figures cannot show."""
    from . import figures

    some = [_some(replay, epoch) for replay in replays]
    try:
        if len(some) == 1:
            figure = figures.plot(some[0], some[0].nearest(epoch), layer=layer)
        else:
            common = all(epoch in replay.epochs for replay in some)
            figure = figures.compare(some, epoch if common else None, layer=layer)
    except Unsupported:
        return b""
    content = BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _some(replay: Replay, epoch: float) -> Replay:
    """Frames and examples that are soon drawn, what is shown at this epoch among them."""
    frames = np.union1d(evenly(len(replay.epochs), _MOST_FRAMES), np.abs(replay.epochs - epoch).argmin())
    total = count(replay.inputs())
    return replay.only(frames=frames, examples=None if total <= _MOST_EXAMPLES else evenly(total, _MOST_EXAMPLES))


def _in_terminal() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and shell.display_formatter.active_types == ["text/plain"]

"""The viewer as a widget of notebooks: Python and the page both set its moment, and hear of each other's."""

from __future__ import annotations

import json
import os
import sys
from base64 import b64encode
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

import anywidget
import traitlets

from ..errors import NetlapseError
from .current import Current
from .moment import known_examples, known_layer, leader, nearest_epoch
from .page import built

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..replay import Replay

    # What a notebook is given of a value: by media type, and more about each.
    Bundle = tuple[dict[str, Any], dict[str, Any]]

# Bytes of one message: more than ten times as many are too many for some servers.
_MOST_SENT = 4_000_000
# Networks are not made for several threads.
_turn = RLock()


def _for_a_file() -> bool:
    """Whether the cell runs only to be written into a file, as by `nbconvert --execute`, without anybody to answer it.

    The file would have the widget in the place of the picture, and no Python to ask. Voilà runs cells so too, and has.
    """
    ipython = sys.modules.get("IPython")
    kernel = None if ipython is None else getattr(ipython.get_ipython(), "kernel", None)
    if kernel is None or "VOILA_REQUEST_URL" in os.environ:
        return False
    return kernel.get_parent("shell").get("content", {}).get("allow_stdin") is False


class _Checked(traitlets.TraitType[Any, Any]):
    """A trait that is what a function makes of what it is set to, or raises: by the names and numbers of the runs."""

    def __init__(self, check: Callable[[Viewer, object], object]) -> None:
        super().__init__()
        self._check = check

    def validate(self, obj: Any, value: object) -> object:
        """What it is set to."""
        return self._check(obj, value)


class Viewer(anywidget.AnyWidget):
    """Runs to look at and play with in a notebook's cell.

    Attributes
    ----------
    epoch
        The epoch that is shown, the recorded one nearest to what it is set to. While the page plays it stays; it is the
        page's again at the next pause. Raises MissingFrame for one before the first or after the last.
    selected
        Numbers of the examples that are selected, as they were counted in the data the probe was drawn from. Raises
        UnknownName for others.
    layer
        The layer whose space is shown, None for the one that a view takes itself. Raises UnknownName for others.
    playing
        Whether time goes on.
    """

    epoch = _Checked(lambda viewer, value: nearest_epoch(viewer._replays, value)).tag(sync=True)
    selected = _Checked(lambda viewer, value: known_examples(viewer._numbers, value)).tag(sync=True)
    layer = _Checked(lambda viewer, value: known_layer(viewer._payload, value)).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    _height = traitlets.Int().tag(sync=True)
    # What is seen until the page has its data, and in files of the notebook, which have none.
    _picture = traitlets.Bytes().tag(sync=True)
    _esm = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        replays: Sequence[Replay],
        *,
        epoch: float | None,
        layer: str | None,
        height: int,
        picture: Callable[[float, str | None], bytes],
    ) -> None:
        # Cells go on while the page asks: JupyterLab has another thread for that.
        self._replays = [replay.apart() for replay in replays]
        self._current = Current(self._replays)
        with _turn:
            self._payload = self._current.payload()
        self._draw = picture
        epochs = self._replays[leader(self._replays)].epochs
        self._last = float(epochs[-1])
        if epoch is None:
            epoch = self._last if self._payload["live"] else float(epochs[0])
        super().__init__(epoch=epoch, selected=[], layer=layer, _height=height, _esm=built("widget.js"))
        self.on_msg(self._answer)

    @property
    def _numbers(self) -> list[int]:
        return self._payload["runs"][leader(self._replays)]["example_numbers"]

    def _repr_mimebundle_(self, **asked: Any) -> Bundle:
        """The widget, and for files of the notebook a picture."""
        self._picture = self._draw(self.epoch, self.layer)
        data, metadata = cast("Bundle", super()._repr_mimebundle_(**asked))
        if self._picture:
            data = {**data, "image/png": b64encode(self._picture).decode("ascii")}
            if _for_a_file():
                del data["application/vnd.jupyter.widget-view+json"]
        return data, metadata

    # What the page asks: viewer/src/data/comm.ts

    def _answer(self, _: object, content: Mapping[str, Any], __: object) -> None:
        try:
            with _turn:
                answer = self._asked(content)
        # The page waits for an answer, whatever went wrong, and says it.
        except Exception as error:
            kind = "" if isinstance(error, NetlapseError) else f"{type(error).__name__}: "
            self.send({"id": content["id"], "error": f"{kind}{error}"})
            return
        starts = range(0, max(1, len(answer)), _MOST_SENT)
        for part, start in enumerate(starts):
            told = {"id": content["id"], "part": part, "parts": len(starts)}
            self.send(told, buffers=[answer[start : start + _MOST_SENT]])

    def _asked(self, content: Mapping[str, Any]) -> bytes:
        if content["ask"] == "frames":
            return self._current.read(content["name"], content.get("from"), content.get("to"))
        for replay in self._replays:
            if replay.status == "recording":
                replay.refresh()
        if content["ask"] == "version":
            return self._current.version.encode()
        # Who is at the last frame stays at the last.
        following = self.epoch == self._last
        self._payload = self._current.payload()
        self._last = float(self._replays[leader(self._replays)].epochs[-1])
        if following:
            self.epoch = self._last
        told = {"version": self._current.version, "payload": self._payload}
        return json.dumps(told, allow_nan=False, separators=(",", ":")).encode()

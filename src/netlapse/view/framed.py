"""The page within a notebook's page, where there is no widget: nothing in it reaches the notebook."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any

from .moment import fragment, known_layer, nearest_epoch
from .page import html
from .payload import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..replay import Replay


class Framed:
    """Runs to look at and play with in a notebook's cell, which Python does not move."""

    def __init__(
        self,
        replays: Sequence[Replay],
        *,
        epoch: float | None,
        layer: str | None,
        height: int,
        picture: Callable[[float, str | None], bytes],
    ) -> None:
        self._content = shown(replays, ahead=True)
        known_layer(self._content.payload, layer)
        epoch = None if epoch is None else nearest_epoch(replays, epoch)
        self._moment, self._height = fragment(epoch, layer), height
        self._draw = lambda: picture(float(replays[0].epochs[0]) if epoch is None else epoch, layer)

    def _repr_html_(self) -> str:
        """The page in a frame that may run its script and save files, and has no origin to read anything of."""
        page = escape(html(self._content, self._moment))
        title = escape(self._content.payload["title"])
        return (
            f'<iframe title="{title}" sandbox="allow-scripts allow-downloads" referrerpolicy="no-referrer"'
            f' style="width: 100%; height: {self._height}px; border: 0" srcdoc="{page}"></iframe>'
        )

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """The page, and for what shows no pages a picture."""
        data = {"text/plain": f"<{self._content.payload['title']}>", "text/html": self._repr_html_()}
        picture = self._draw()
        if picture:
            data["image/png"] = b64encode(picture).decode("ascii")
        return data, {}

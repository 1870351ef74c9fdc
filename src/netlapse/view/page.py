"""Runs as one page: a file that shows them anywhere and loads nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from copy import deepcopy
from hashlib import sha256
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported
from .computed import Computed
from .encode import arrays_in, encoded, rounded
from .payload import MOST_EXAMPLES, MOST_FRAMES, shown

if TYPE_CHECKING:
    from ..replay import Replay
    from .numbers import Numbers
    from .payload import Shown
    from .schema import Payload, Run

_POLICY = (
    "default-src 'none'; script-src '{script}'; img-src data: blob:; media-src blob:; worker-src blob:;"
    " base-uri 'none'; form-action 'none'"
)


def page(
    runs: Replay | Sequence[Replay],
    path: str | Path,
    *,
    title: str | None = None,
    frames: int = MOST_FRAMES,
    examples: int = MOST_EXAMPLES,
) -> Path:
    """Write a run, or several side by side, as one HTML file to look at and play with. Returns its path.

    The file needs nothing else and loads nothing. It shows at most so many frames and examples of each run, evenly
    chosen; the first frame, the last and those of milestones always, and says what it leaves out. The same runs give
    the same file, byte for byte. Raises MissingFrame for a run without frames.
    """
    replays = runs if isinstance(runs, Sequence) else [runs]
    made = html(shown(replays, title=title, most_frames=frames, most_examples=examples, ahead=True))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(made, encoding="utf-8", newline="\n")
    return path


def html(content: Shown, moment: str = "") -> str:
    """The page. `moment` is what it shows at first, written as in the fragment of its address: "epoch=60"."""
    viewer = built_viewer()
    made = [_run(run, content.numbers) for run in content.payload["runs"]]
    payload: Payload = {**content.payload, "runs": [run for run, _ in made]}
    arrays = [text for _, texts in made for text in texts]
    digest = b64encode(sha256(viewer.encode()).digest()).decode("ascii")
    policy = _POLICY.format(script=f"sha256-{digest}")
    title = escape(payload["title"]).encode("ascii", "xmlcharrefreplace").decode("ascii")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en" data-moment="{escape(moment)}">' if moment else '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            "</head>",
            "<body>",
            f'<script type="application/json" id="payload">{_json(payload)}</script>',
            *arrays,
            f"<script>{viewer}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _run(run: Run, numbers: Numbers) -> tuple[Run, list[str]]:
    """A run as the page has it, and its arrays as elements. What the page computes is none of them."""
    computed = Computed(run, numbers)
    kept = deepcopy(run)
    texts: list[str] = []
    for array in arrays_in(kept):
        values = numbers(array["name"])
        if kept["mlp"] is not None and computed.gives(array, values):
            kept["mlp"]["computes"].append(array["name"])
            finite = values[np.isfinite(values)]
            if array["dtype"] == "float32" and finite.size:
                kept["mlp"]["ends"][array["name"]] = [float(finite.min()), float(finite.max())]
            # The page need not round what it does not store.
            array.update({"dtype": "float32", "low": 0.0, "step": 1.0, "gaps": False})
            continue
        found, values = rounded(array, values)
        array.update(found)
        texts.append(
            f'<script type="text/plain" data-array="{escape(array["name"])}">{encoded(found, values)}</script>'
        )
    return kept, texts


def _json(payload: Payload) -> str:
    """In ASCII, with no sign that could end a script."""
    text = json.dumps(payload, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def built(name: str) -> str:
    """The text of a built file, "page.js" or "widget.js". Raises Unsupported where it is lacking."""
    try:
        text = (resources.files("netlapse.view") / "static" / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Unsupported(
            f"the built viewer, view/static/{name}, is not in this copy of netlapse; install netlapse from a wheel, or"
            " run `npm ci && npm run build` in viewer/"
        ) from error
    # A browser reads line ends so, and takes the hash of what it read.
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def built_viewer() -> str:
    """The text of the viewer as a script of a page. Raises Unsupported where it is lacking."""
    text = built("page.js")
    if "</script" in text.lower() or "<!--" in text:
        raise Unsupported("view/static/page.js would end its own script; build it again with `npm run build`")
    return text

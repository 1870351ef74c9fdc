"""What of a run is shown: the frames that can be read, some of a long run's, some of very many examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import measures
from ..errors import DamagedRun, MissingFrame, Unsupported
from ..measures import Quantities
from ..replay.outputs import evenly
from ..store.examples import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..replay import Replay
    from ..store import Run
    from .schema import Mark

# More frames than this are not looked through for milestones; and of a run that is to be seen at once no more than
# these, or as make so many products of weights.
_MOST_LOOKED_AT = 1000
_MOST_AT_ONCE, _MOST_PRODUCTS = 500, 2 * 10**9
# Fewer frames of many would tell nothing.
_LEAST = 50
# Classes of which each has a milestone of its own.
_MOST_CLASSES = 4


@dataclass(frozen=True)
class Selection:
    """A run as it is shown.

    `whole` has all frames that can be read, `replay` those shown, `sample` also no more examples than are shown, which
    are the probe's at `places`. `missing` says what is not shown.
    """

    whole: Replay
    replay: Replay
    sample: Replay
    places: NDArray[np.intp]
    marks: list[Mark]
    missing: list[str]


def select(replay: Replay, *, most_frames: int, most_examples: int, check: bool, ahead: bool) -> Selection:
    """Choose frames and examples evenly; the first frame, the last and those of milestones are always among them.

    With `check`, all weights are read, and frames of which some are damaged are left out. Unless `ahead`, only those of
    a run that has ended, and that is soon done, are looked through for milestones. Raises MissingFrame if no frame can
    be read.
    """
    _ = replay.output_names  # the network is loaded once for all that follows
    missing = [f"{text}; its frames are left out" for text in replay.run.damage.values()]
    numbers, problems = _readable(replay.run, replay.parameters) if check else (np.arange(len(replay.run)), [])
    missing += problems
    if len(numbers) == 0:
        raise MissingFrame(
            f"no frame of run {replay.name!r} can be read: {problems[0]}" if problems else _none(replay.name)
        )
    whole = replay if len(numbers) == len(replay.run) else replay.only(frames=numbers)
    marks, notes = _marks(whole, _MOST_LOOKED_AT if ahead else _few(whole))
    missing += notes
    frames = _frames(whole, marks, most_frames)
    thinned = whole
    if len(frames) < len(whole.epochs):
        missing.append(f"{len(frames):,} of {len(whole.epochs):,} frames are shown, evenly spaced")
        thinned = whole.only(frames=frames)
    total = count(replay.inputs())
    places = evenly(total, most_examples)
    if len(places) < total:
        missing.append(f"{len(places):,} of {total:,} examples are shown, evenly spaced; curves are of all")
    sample = thinned if len(places) == total else thinned.only(examples=places)
    return Selection(whole, thinned, sample, places, marks, missing)


def example_numbers(replay: Replay, places: NDArray[np.intp]) -> list[int]:
    """Where examples of the probe stood in the data that they were drawn from."""
    index = replay.run.probe().get("train/index")
    total = count(replay.inputs())
    known = index is not None and index.shape == (total,) and index.dtype.kind in "iu"
    return (index[places] if index is not None and known else places).tolist()


def _none(name: str) -> str:
    return f"run {name!r} has no frame yet; wait for its recorder, or record it again"


def _readable(run: Run, parameters: Sequence[str]) -> tuple[NDArray[np.intp], list[str]]:
    """The frames of which all weights can be read, and what is wrong with the others."""
    sound: list[NDArray[np.intp]] = []
    problems: dict[str, list[float]] = {}

    def look(numbers: NDArray[np.intp]) -> None:
        try:
            for name in parameters:
                run.weights(name, numbers)
            sound.append(numbers)
        except DamagedRun as error:
            if len(numbers) > 1:
                half = len(numbers) // 2
                look(numbers[:half])
                look(numbers[half:])
            else:
                problems.setdefault(str(error), []).append(float(run.epochs[numbers[0]]))

    every = np.arange(len(run))
    for start in range(0, len(every), _AT_ONCE):
        look(every[start : start + _AT_ONCE])
    texts = [
        f"{text}; {len(epochs)} frames of epochs {epochs[0]:g} to {epochs[-1]:g} are left out"
        for text, epochs in problems.items()
    ]
    return (np.concatenate(sound) if sound else every[:0]), texts


# Weights of so many frames are held at once while they are checked.
_AT_ONCE = 16


def _few(replay: Replay) -> int:
    """How many frames are soon looked through."""
    # What is right from here on is known when there is no more to come.
    if replay.status == "recording":
        return 0
    weights = replay.run.manifest.parameter_count
    return min(_MOST_AT_ONCE, _MOST_PRODUCTS // max(1, weights * count(replay.inputs())))


def _marks(replay: Replay, most: int) -> tuple[list[Mark], list[str]]:
    """Milestones and plateaus, and what is to be said of them."""
    epochs = replay.epochs
    if most < min(len(epochs), _LEAST):
        return [], []
    some = evenly(len(epochs), most)
    notes = [f"milestones are those of {len(some):,} frames"] if len(some) < len(epochs) else []
    try:
        task, curves = replay.task(), replay.curves(epochs[some].tolist())
    except Unsupported:
        return [], []
    if isinstance(task, Quantities):
        return [_plateau(*span) for span in measures.plateaus(curves.loss, curves.epochs)], notes
    found = measures.milestones(curves)
    # The class that was right last says what is to be said of all.
    groups = {name: one for name, one in found.classes.items() if one.for_good != found.all.for_good}
    if len(found.classes) > _MOST_CLASSES:
        groups = {}
    marks: list[Mark] = []
    for name, milestone in {**groups, "": found.all}.items():
        whose = f"all of {name}" if name else "all examples"
        if milestone.for_good is not None:
            marks.append(_moment(f"{whose} right from here on", milestone.for_good))
        elif milestone.first is not None:
            marks.append(_moment(f"{whose} right for the first time", milestone.first))
    return marks + [_plateau(*span) for span in found.plateaus], notes


def _moment(text: str, epoch: float) -> Mark:
    return {"kind": "milestone", "text": text, "start": epoch, "stop": epoch}


def _plateau(start: float, stop: float) -> Mark:
    return {"kind": "plateau", "text": "the loss stands still", "start": start, "stop": stop}


def _frames(replay: Replay, marks: Sequence[Mark], most: int) -> NDArray[np.intp]:
    moments = [mark["start"] for mark in marks if mark["kind"] == "milestone"]
    kept = np.searchsorted(replay.epochs, moments)
    return np.union1d(evenly(len(replay.epochs), max(2, most - len(kept))), kept)

"""A payload that is kept up to date with the runs that it shows, and its arrays, a block of frames at a time."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DamagedRun, UnknownName
from .encode import arrays_in
from .payload import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..replay import Replay
    from .payload import Shown
    from .schema import Array, Payload

# Blocks that are kept of all arrays, and what is answered at once: the page asks for about 1 MiB.
_MOST_KEPT, _MOST_ANSWERED = 2**27, 2**26
# Projections and scales are found anew when there are so many times as many frames.
_GROWN = 1.5
# Names of arrays say which payload they are of: a projection may have changed.
_numbers = count(1)


class Current:
    """What there is to show of some runs as they were last refreshed. Whoever asks has the runs for himself."""

    def __init__(self, replays: Sequence[Replay]) -> None:
        self._replays = replays
        # Pages still ask for arrays of the payload before while they get the new one.
        self._states: list[_State] = []
        # That a read has found damage: the next payload leaves out what is damaged.
        self.damaged = False

    @property
    def version(self) -> str:
        """A text that changes whenever the payload does. No array is read."""
        return "; ".join([*map(version, self._replays), *(["damaged"] if self.damaged else [])])

    def payload(self) -> Payload:
        """What there is to show now. Raises MissingFrame while a run has no frame yet, DamagedRun if none is whole."""
        replays = self._replays
        for replay in replays:
            # Nobody needs to wait for more.
            if not len(replay.run) and replay.run.damage:
                raise DamagedRun(next(iter(replay.run.damage.values())))
        if not self._states or self._states[-1].checked < self.damaged or not self._states[-1].grows(replays):
            made = self._made()
            self._states = [*self._states[-1:], _State(made, replays, checked=self.damaged)]
        self._states[-1].grow()
        payload = self._states[-1].shown.payload
        payload["live"] = any(replay.status == "recording" for replay in replays)
        return payload

    def _made(self) -> Shown:
        most, prefix = sys.maxsize, f"{next(_numbers)}."
        if not self.damaged:
            try:
                return shown(self._replays, most_frames=most, prefix=prefix)
            except DamagedRun:
                self.damaged = True
        return shown(self._replays, most_frames=most, prefix=prefix, check=True)

    def part(self, name: str, low: int | None = None, high: int | None = None) -> Part:
        """Frames `low` to `high` - 1 of an array, by default all; all of one without frames.

        Raises UnknownName for an array that there is not, ValueError for frames that there are not or too many.
        """
        state = next((state for state in self._states if name in state.arrays), None)
        if state is None:
            raise UnknownName("there is no such array; ask for the payload again")
        array, place = state.arrays[name]
        if array["axes"][:1] != ["frame"]:
            return Part(state, place, name, 0, array["shape"][0], max(1, array["shape"][0]))
        frames = array["shape"][0]
        low, high = (0 if low is None else low), (frames if high is None else high)
        if not 0 <= low <= high <= frames:
            raise ValueError(f"there are no frames {low} to {high - 1}; there are 0 to {frames - 1}")
        size = np.dtype(array["dtype"]).itemsize * math.prod(array["shape"][1:])
        if high - low > 1 and (high - low) * size > _MOST_ANSWERED:
            raise ValueError(f"{high - low} frames are too many at once; ask for {max(1, _MOST_ANSWERED // size)}")
        return Part(state, place, name, low, high, state.shown.numbers.at_once)

    def read(self, name: str, low: int | None = None, high: int | None = None) -> bytes:
        """The bytes of such a part. Raises DamagedRun once, too."""
        part = self.part(name, low, high)
        try:
            return b"".join(part.known(start) or part.keep(start, part.compute(start)) for start in part.starts)
        except DamagedRun:
            self.damaged = True
            raise


class Part:
    """Some frames of an array of the run at `place`, in the blocks that begin at `starts`."""

    def __init__(self, state: _State, place: int, name: str, low: int, high: int, at_once: int) -> None:
        self._state, self.place, self._name = state, place, name
        self._low, self._high, self._at_once = low, high, at_once
        self.starts = range(low - low % at_once, high, at_once)

    def known(self, start: int) -> bytes | None:
        """What is asked for of a block, if it is known."""
        found = self._state.block(self._name, start, min(start + self._at_once, self._high))
        return None if found is None else self._bytes(start, found)

    def compute(self, start: int) -> Mapping[str, NDArray[Any]]:
        """A block of this array, and of all that are computed with it. Raises DamagedRun."""
        return self._state.shown.numbers.together(self._name, start, start + self._at_once)

    def keep(self, start: int, found: Mapping[str, NDArray[Any]]) -> bytes:
        """Keep what was computed. Returns what is asked for of it."""
        self._state.keep(start, found)
        return self._bytes(start, found[self._name])

    def _bytes(self, start: int, block: NDArray[Any]) -> bytes:
        return block[max(self._low - start, 0) : min(start + self._at_once, self._high) - start].tobytes()


class _State:
    """A payload, and the blocks of its arrays that were asked for last."""

    def __init__(self, made: Shown, replays: Sequence[Replay], *, checked: bool) -> None:
        self.shown, self.checked = made, checked
        self.arrays: dict[str, tuple[Array, int]] = {
            array["name"]: (array, place) for place, run in enumerate(made.payload["runs"]) for array in arrays_in(run)
        }
        self._epochs = [replay.epochs for replay in replays]
        self._status = [_fixed(replay) for replay in replays]
        # Frames that were left out are not known of the run as it grows.
        self._whole = all(len(one.epochs) == len(all_.epochs) for one, all_ in zip(made.replays, replays, strict=True))
        self._blocks: OrderedDict[tuple[str, int], NDArray[Any]] = OrderedDict()
        self._bytes = 0

    def grows(self, replays: Sequence[Replay]) -> bool:
        """Whether the runs are as they were, but for a few more frames."""
        return [_fixed(replay) for replay in replays] == self._status and all(
            np.array_equal(before, now)
            or (
                self._whole
                and len(before) <= len(now) < _GROWN * len(before)
                and np.array_equal(before, now[: len(before)])
            )
            for before, now in zip(self._epochs, (replay.epochs for replay in replays), strict=True)
        )

    def grow(self) -> None:
        """Take in the frames that there are."""
        if self._whole:
            self.shown.grow()

    def block(self, name: str, start: int, stop: int) -> NDArray[Any] | None:
        """The stored numbers of the block of frames from `start` on, if it is known as far as `stop`."""
        found = self._blocks.get((name, start))
        if found is None or len(found) < stop - start:
            return None
        self._blocks.move_to_end((name, start))
        return found

    def keep(self, start: int, found: Mapping[str, NDArray[Any]]) -> None:
        """Keep the blocks of arrays from `start` on; those unused for longest go."""
        for name, values in found.items():
            before = self._blocks.pop((name, start), None)
            self._blocks[name, start] = values
            self._bytes += values.nbytes - (0 if before is None else before.nbytes)
        while self._bytes > _MOST_KEPT:
            _, oldest = self._blocks.popitem(last=False)
            self._bytes -= oldest.nbytes


def _fixed(replay: Replay) -> tuple[object, ...]:
    return replay.status, tuple(replay.run.damage)


def version(replay: Replay) -> str:
    """A text that changes with every frame and every change of the status."""
    run = replay.run
    last = int(run.steps[-1]) if len(run) else 0
    return f"{run.status} {len(run)} {last} {len(run.damage)}"

"""A payload that is kept up to date with the runs that it shows, and its arrays, a block of frames at a time."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from contextlib import AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from anyio import to_thread

from ..errors import DamagedRun, UnknownName
from .encode import arrays_in
from .payload import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..replay import Replay
    from .library import Opened
    from .payload import Shown
    from .schema import Array, Payload

# Blocks that are kept of all arrays, and what is answered at once: the page asks for about 1 MiB.
_MOST_KEPT, _MOST_ANSWERED = 2**27, 2**26
# Projections and scales are found anew when there are so many times as many frames.
_GROWN = 1.5
# Names of arrays say which payload they are of: a projection may have changed.
_numbers = count(1)


class Showing:
    """One run, or several compared."""

    def __init__(self, runs: Sequence[Opened]) -> None:
        self._runs = runs
        # Pages still ask for arrays of the payload before while they get the new one.
        self._states: list[_State] = []
        self._damaged = False

    async def version(self) -> str:
        """A text that changes whenever the payload does. No array is read."""
        for run in self._runs:
            async with run.turn:
                await to_thread.run_sync(run.look)
        return "; ".join([*(run.version for run in self._runs), *(["damaged"] if self._damaged else [])])

    async def payload(self) -> Payload:
        """What there is to show now. Raises MissingFrame while a run has no frame yet, DamagedRun if none is whole."""
        async with AsyncExitStack() as stack:
            # In one order, so that no two wait for each other.
            for run in sorted(self._runs, key=id):
                await stack.enter_async_context(run.turn)
            return await to_thread.run_sync(self._update)

    def _update(self) -> Payload:
        for run in self._runs:
            run.look()
        replays = [run.replay for run in self._runs]
        for replay in replays:
            # Nobody needs to wait for more.
            if not len(replay.run) and replay.run.damage:
                raise DamagedRun(next(iter(replay.run.damage.values())))
        if not self._states or self._states[-1].checked < self._damaged or not self._states[-1].grows(replays):
            made = self._made()
            self._states = [*self._states[-1:], _State(made, replays, checked=self._damaged)]
        self._states[-1].grow()
        payload = self._states[-1].shown.payload
        payload["live"] = any(replay.status == "recording" for replay in replays)
        return payload

    def _made(self) -> Shown:
        replays = [run.replay for run in self._runs]
        most, prefix = sys.maxsize, f"{next(_numbers)}."
        if not self._damaged:
            try:
                return shown(replays, most_frames=most, prefix=prefix)
            except DamagedRun:
                self._damaged = True
        return shown(replays, most_frames=most, prefix=prefix, check=True)

    async def read(self, name: str, low: int | None, high: int | None) -> bytes:
        """An array's bytes of frames `low` to `high` - 1, by default all.

        Raises UnknownName for an array that there is not, ValueError for frames that there are not or too many.
        DamagedRun is raised once: the next payload leaves out what is damaged.
        """
        state = next((state for state in self._states if name in state.arrays), None)
        if state is None:
            raise UnknownName("there is no such array; ask for the payload again")
        array, place = state.arrays[name]
        if array["axes"][:1] != ["frame"]:
            return state.shown.numbers(name).tobytes()
        frames = array["shape"][0]
        low, high = (0 if low is None else low), (frames if high is None else high)
        if not 0 <= low <= high <= frames:
            raise ValueError(f"there are no frames {low} to {high - 1}; there are 0 to {frames - 1}")
        size = np.dtype(array["dtype"]).itemsize * math.prod(array["shape"][1:])
        if high - low > 1 and (high - low) * size > _MOST_ANSWERED:
            raise ValueError(f"{high - low} frames are too many at once; ask for {max(1, _MOST_ANSWERED // size)}")
        try:
            return await self._read(state, self._runs[place], name, low, high)
        except DamagedRun:
            self._damaged = True
            raise

    async def _read(self, state: _State, run: Opened, name: str, low: int, high: int) -> bytes:
        numbers = state.shown.numbers
        parts: list[bytes] = []
        for start in range(low - low % numbers.at_once, high, numbers.at_once):
            stop = min(start + numbers.at_once, high)
            block = state.block(name, start, stop)
            if block is None:
                # Turn after turn, so that a long answer keeps nobody else waiting.
                async with run.turn:
                    block = state.block(name, start, stop)
                    if block is None:
                        found = await to_thread.run_sync(numbers.together, name, start, start + numbers.at_once)
                        state.keep(start, found)
                        block = found[name]
            parts.append(block[max(low - start, 0) : stop - start].tobytes())
        return b"".join(parts)


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

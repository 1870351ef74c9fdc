"""What a server shows of some runs, to many at once."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from anyio import to_thread

from ..errors import DamagedRun
from .current import Current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .library import Opened
    from .schema import Payload


class Showing:
    """One run, or several compared."""

    def __init__(self, runs: Sequence[Opened]) -> None:
        self._runs = runs
        self._current = Current([run.replay for run in runs])

    async def version(self) -> str:
        """A text that changes whenever the payload does. No array is read."""
        for run in self._runs:
            async with run.turn:
                await to_thread.run_sync(run.look)
        return self._current.version

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
        return self._current.payload()

    async def read(self, name: str, low: int | None, high: int | None) -> bytes:
        """An array's bytes of frames `low` to `high` - 1, by default all.

        Raises UnknownName for an array that there is not, ValueError for frames that there are not or too many.
        DamagedRun is raised once: the next payload leaves out what is damaged.
        """
        part = self._current.part(name, low, high)
        run = self._runs[part.place]
        found: list[bytes] = []
        try:
            for start in part.starts:
                block = part.known(start)
                if block is None:
                    # Turn after turn, so that a long answer keeps nobody else waiting.
                    async with run.turn:
                        block = part.known(start)
                        if block is None:
                            block = part.keep(start, await to_thread.run_sync(part.compute, start))
                found.append(block)
        except DamagedRun:
            self._current.damaged = True
            raise
        return b"".join(found)

"""Ctrl-C while recording."""

from __future__ import annotations

import signal
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

    from .recording import Recording


class InterruptGuard:
    """Marks the run when Ctrl-C stops the training, then lets Ctrl-C do what it would have done.

    Needed where the process lives on, as in a notebook: no framework tells its callbacks of an interrupt. As a context
    it lets a frame that is being written be finished first.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = weakref.ref(recording)
        self._previous: object = None
        self._busy = self._postponed = False

    def set(self) -> None:
        """Take over the handling of Ctrl-C where Python handles it. Setting twice does nothing."""
        if threading.current_thread() is not threading.main_thread():
            return
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler) and handler is not self:
            self._previous = handler
            signal.signal(signal.SIGINT, self)

    def unset(self) -> None:
        """Give the handling back, unless somebody else has taken it over since."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is self:
            signal.signal(signal.SIGINT, self._previous)  # pyright: ignore

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        if self._busy:
            self._postponed = True
            return
        self.unset()
        recording = self._recording()
        if recording is not None:
            recording.close("interrupted")
        if callable(self._previous):
            self._previous(number, frame)

    def __enter__(self) -> Self:
        self._busy = True
        return self

    def __exit__(self, *exception: object) -> None:
        self._busy = False
        if self._postponed:
            self._postponed = False
            signal.raise_signal(signal.SIGINT)

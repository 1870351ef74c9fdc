"""The few errors of netlapse. Each message says where, what was found and what to do next."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with whatever a terminal would obey, or cannot show, written as an escape such as \\x1b.

    A run's names are those of whoever wrote it. What is longer than anybody reads is cut.
    """
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in shown)


_LONGEST = 10_000


class NetlapseError(Exception):
    """Base of every error that netlapse raises on purpose."""

    def __str__(self) -> str:
        return printable(super().__str__())


class RunError(NetlapseError):
    """A run cannot be created, opened or continued as asked."""


class DamagedRun(RunError):
    """A file of a run is truncated or altered; the message names it. The other files stay readable."""


class MissingFrame(NetlapseError, LookupError):
    """The run holds no frame at the epoch asked for; the message names the nearest."""


class UnknownName(NetlapseError, LookupError):
    """No layer, parameter or recorded scalar of this name; the message lists those there are."""


class BadProbe(NetlapseError, ValueError):
    """The probe (the examples a run is looked at with) does not fit the model or the loss."""


class Unsupported(NetlapseError):
    """The network or its data are outside what this view can show; the message says what is supported."""


class BadQuery(NetlapseError, ValueError):
    """What runs were to be chosen or ordered by cannot be understood, or names what no run has."""


class StudyError(NetlapseError):
    """A study cannot be made, opened or continued as asked."""

"""The few errors of netlapse. Each message says where, what was found and what to do next."""

from __future__ import annotations


class NetlapseError(Exception):
    """Base of every error that netlapse raises on purpose."""


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

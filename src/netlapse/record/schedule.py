"""Which moments of a training become frames."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

Chosen = Callable[[int, float], bool]
Every = str | Iterable[int] | Mapping[str, Iterable[int]] | Chosen

_TERM = re.compile(r"(?:(\d+)\s+)?(epoch|step)s?|(log)")
_ADVICE = (
    'pass "epoch", "step", "5 epochs", "100 steps", "log", several of them with commas, epochs such as [1, 2, 5],'
    ' {"steps": [10, 100], "epochs": [1, 2]}, or a function of step and epoch'
)
_PER_DECADE = 10
# From this many steps on, what happens within the first epoch is not seen at its end.
LONG_EPOCH = 1000


@dataclass(frozen=True)
class Schedule:
    """Moments that become frames: those that any of these entries names. The first and the last state always do.

    `every_steps` and `every_epochs` are intervals (none if 0), `steps` and `epochs` moments, `log` ten steps for each
    power of ten (1, 2, 3, 4, 5, 6, 8, 10, 13, ...). `chosen` is asked after each step, with the steps and epochs done.
    An interval in steps keeps the end of every epoch too, where the epoch's metrics are known.
    """

    every_steps: int = 0
    every_epochs: int = 0
    steps: frozenset[int] = frozenset()
    epochs: frozenset[int] = frozenset()
    log: bool = False
    chosen: Chosen | None = None

    @classmethod
    def parse(cls, every: Every) -> Schedule:
        """Read what users write. Raises ValueError for what is no schedule."""
        given: Any = every
        try:
            if isinstance(given, str):
                return cls._of_text(given)
            if callable(given):
                return cls(chosen=cast("Chosen", given))
            if not isinstance(given, Mapping):
                given = {"epochs": given}
            moments = {unit: frozenset(map(_moment, of)) for unit, of in cast("Any", given).items()}
            if moments and moments.keys() <= {"steps", "epochs"}:
                none = frozenset[int]()
                return cls(steps=moments.get("steps", none), epochs=moments.get("epochs", none))
        except (TypeError, ValueError):
            pass
        raise ValueError(f"every={every!r} is no schedule; {_ADVICE}")

    @classmethod
    def _of_text(cls, text: str) -> Schedule:
        found = cls()
        for term in text.split(","):
            match = _TERM.fullmatch(term.strip())
            interval = int(match[1] or 1) if match else 0
            if match is None or interval < 1:
                raise ValueError(term)
            if match[3]:
                found = cls(found.every_steps, found.every_epochs or 1, log=True)
            elif match[2] == "step":
                found = cls(interval, found.every_epochs, log=found.log)
            else:
                found = cls(found.every_steps, interval, log=found.log)
        return found

    @classmethod
    def for_epochs_of(cls, steps: int | None) -> Schedule:
        """The schedule for trainings whose user asked for none, by the steps of an epoch if these are known."""
        return cls.parse("log" if (steps or 0) >= LONG_EPOCH else "epoch")

    @classmethod
    def for_loop_of(cls, steps_per_epoch: int | None) -> Schedule:
        """The same for loops of the user's own, where an epoch of unknown length may hide a long beginning."""
        return cls.for_epochs_of(steps_per_epoch or LONG_EPOCH)

    def __str__(self) -> str:
        terms = [
            "log" if self.log else "",
            _interval(self.every_steps, "step"),
            "" if self.log and self.every_epochs == 1 else _interval(self.every_epochs, "epoch"),
            _list("steps", self.steps),
            _list("epochs", self.epochs),
            "a function" if self.chosen else "",
        ]
        return ", ".join(filter(None, terms))

    @property
    def by_step(self) -> bool:
        """Whether frames fall within epochs."""
        return bool(self.every_steps or self.steps or self.log or self.chosen)

    def due_step(self, step: int, epoch: float) -> bool:
        """Whether the state after this optimiser step, with so many epochs done, is a frame."""
        return (
            bool(self.every_steps and step % self.every_steps == 0)
            or step in self.steps
            or (self.log and step == round(10 ** (round(_PER_DECADE * math.log10(step)) / _PER_DECADE)))
            or bool(self.chosen and self.chosen(step, epoch))
        )

    def due_epoch(self, step: int, epoch: int) -> bool:
        """Whether the state after this epoch, which ended with this step, is a frame."""
        return (
            bool(self.every_steps)
            or bool(self.every_epochs and epoch % self.every_epochs == 0)
            or epoch in self.epochs
            or bool(self.chosen and self.chosen(step, float(epoch)))
        )


def _moment(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or value < 0:
        raise ValueError(value)
    return int(value)


def _interval(interval: int, unit: str) -> str:
    return "" if not interval else unit if interval == 1 else f"{interval} {unit}s"


def _list(unit: str, moments: frozenset[int]) -> str:
    shown = sorted(moments)
    more = f", ... ({len(shown)} in all)" if len(shown) > 10 else ""
    return f"{unit} {', '.join(map(str, shown[:10]))}{more}" if shown else ""

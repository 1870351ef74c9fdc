"""Which moments of a training become frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_TEXT = re.compile(r"(?:(\d+)\s+)?(epoch|step)s?")


@dataclass(frozen=True)
class Schedule:
    """A frame every `interval` epochs or steps. The first and the last state are kept in any case.

    A schedule in steps keeps the end of every epoch too, where the epoch's metrics are known.
    """

    unit: Literal["epoch", "step"] = "epoch"
    interval: int = 1

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read "epoch", "step", "5 epochs" or "100 steps". Raises ValueError for anything else."""
        match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        interval = int(match[1] or 1) if match else 0
        if match is None or interval < 1:
            raise ValueError(f'every={text!r} is no schedule; pass "epoch", "step", "5 epochs" or "100 steps"')
        return cls("epoch" if match[2] == "epoch" else "step", interval)

    def __str__(self) -> str:
        return self.unit if self.interval == 1 else f"{self.interval} {self.unit}s"

    @property
    def by_step(self) -> bool:
        """Whether frames fall within epochs."""
        return self.unit == "step"

    def due_step(self, step: int) -> bool:
        """Whether the state after this optimiser step is a frame."""
        return self.by_step and step % self.interval == 0

    def due_epoch(self, epoch: int) -> bool:
        """Whether the state after this epoch is a frame."""
        return self.by_step or epoch % self.interval == 0

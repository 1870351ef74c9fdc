"""What the benchmarks share: the article's runs, medians, the machine."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")


def machine() -> str:
    """The machine in one line."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def row(name: str, values: list[float], unit: str) -> str:
    """One line of a table: the median, and the range for an idea of the noise."""
    return f"{name:<44} {statistics.median(values):9.3f} {unit:<9} ({min(values):.3f} to {max(values):.3f})"


def fresh(code: str, *arguments: str | Path) -> str:
    """What `code` prints in a Python of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

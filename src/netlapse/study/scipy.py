"""SciPy's statistics, which only studies need."""

from __future__ import annotations

from typing import Any


def stats() -> Any:
    """SciPy's `stats`, imported when it is used. Raises ImportError that says how to install it."""
    try:
        from scipy import stats  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise ImportError("statistics of a study need scipy; install it with: pip install 'netlapse[study]'") from error
    return stats

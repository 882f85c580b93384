"""How many threads to use."""

from __future__ import annotations

import os
from typing import Final

from ..errors import OptionError

MOST_THREADS: Final = 16


def resolve_threads(threads: int | None, default: int | None = None) -> int:
    """Return how many threads to use: `threads`, else TIDEGATE_THREADS, else the default, else one for each core.

    Cores are those that this process may use, at most 16. Raises OptionError for anything but 1 to 1024.

    >>> resolve_threads(3)
    3
    """
    if threads is None:
        text = os.environ.get("TIDEGATE_THREADS")
        if text is None:
            return default or min(MOST_THREADS, count_cores())
        if not text.isascii() or not text.isdigit():
            raise OptionError(f"TIDEGATE_THREADS is {text[:40]!r}; expected an integer of 1 to 1024")
        threads = int(text[:9])
    if type(threads) is not int or not 1 <= threads <= 1024:
        raise OptionError(f"threads is {threads!r}; expected an integer of 1 to 1024")
    return threads


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

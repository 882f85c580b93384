"""The lock of a pool: one call at a time changes it."""

from __future__ import annotations

import sys
from threading import get_ident
from types import FrameType
from typing import Any, Final

from ..errors import StateError

BUSY: Final = (
    "this pool is being pushed by another thread, or by the call that this one comes from; give each thread its own "
    "pool, or hold a lock around its calls"
)


class PoolLock:
    """Lets one call at a time change a pool. One that was interrupted before it could release the lock is skipped.

    >>> lock = PoolLock()
    >>> with lock:
    ...     pass
    """

    __slots__ = ("_holder",)

    def __init__(self) -> None:
        self._holder: dict[None, Holder] = {}

    def __enter__(self) -> None:
        """Take the lock. Raises StateError while another call has it."""
        mine: Holder = (get_ident(), sys._getframe(1), {})
        first = holder = self._holder.setdefault(None, mine)  # atomic: no other thread comes in between
        while holder is not mine:  # another call has it, or was interrupted before it could release it
            if not holder[2] and is_running(holder):
                raise StateError(BUSY)
            holder = holder[2].setdefault(None, mine)
        if self._holder.get(None) is not first:  # released meanwhile, and perhaps taken by another call
            raise StateError(BUSY)

    def __exit__(self, *error: object) -> None:
        self._holder.clear()


Holder = tuple[int, FrameType, dict[None, Any]]  # a thread, its call's frame, and who took over from it


def is_running(holder: Holder) -> bool:
    """Return whether a holder's call has not returned yet."""
    frame = sys._current_frames().get(holder[0])
    while frame is not None and frame is not holder[1]:
        frame = frame.f_back
    return frame is not None

"""Signals that stop a training run: they are collected, so that a run stops between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def catch_stop_signals() -> Iterator[list[int]]:
    """Collect Ctrl-C, SIGTERM and SIGHUP in a list that the loop reads between steps; a second Ctrl-C acts at once.

    A closing terminal sends more than one SIGHUP. Signals that the process ignores, as under nohup, stay ignored.
    """
    signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    available = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]
    former = {s: signal.getsignal(s) for s in available if signal.getsignal(s) not in (signal.SIG_IGN, None)}

    def note(number: int, frame: Any) -> None:
        signals.append(number)
        if number == signal.SIGINT:
            signal.signal(number, former[signal.SIGINT])

    for s in former:
        signal.signal(s, note)
    try:
        yield signals
    finally:
        for s, handler in former.items():
            signal.signal(s, handler)

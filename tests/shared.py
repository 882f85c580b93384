"""What is dear to make is made once for all processes that share the tests among them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A temporary folder of this run, the same one in all its processes."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    found = base / "shared" / name
    found.mkdir(parents=True, exist_ok=True)
    return found


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside a folder; other processes wait for it."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of this name, which the first process that asks for it fills by `make`."""
    found = folder(factory, name)
    done = found.with_name(name + ".done")
    with locked(found):
        if not done.exists():
            make(found)
            done.touch()
    return found

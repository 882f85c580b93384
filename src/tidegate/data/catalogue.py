"""The public data sets that tidegate knows by name: one file each in `sets/`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from difflib import get_close_matches
from pathlib import Path

from tidegate.data import cache, sets
from tidegate.data.dataset import DataSet, Report
from tidegate.errors import DataError, OptionError


def names() -> list[str]:
    """The names of all data sets, in order.

    >>> "reuters_r8" in names()
    True
    """
    return sorted(module.name for module in pkgutil.iter_modules(sets.__path__))


def get(name: str) -> DataSet:
    """What is known about one data set.

    Raises:
        OptionError: no data set has this name.

    >>> get("trec").rows
    {'train': 5452, 'test': 500}
    """
    known = names()
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise OptionError(f"unknown data set {name!r}; {hint}choose one of {', '.join(known)}")
    found = importlib.import_module(f"{sets.__name__}.{name}").SET
    assert isinstance(found, DataSet), name
    return found


def print_to_stderr(message: str) -> None:
    """Write a message to standard error."""
    print(message, file=sys.stderr)


def cached(name: str) -> dict[str, Path]:
    """The file of every split, if all of them lie whole in the cache; else none.

    Raises:
        OptionError: no data set has this name.
    """
    known = get(name)
    return cache.load(f"{name}-{known.cache_key()}", known.sums_by_file()) or {}


def fetch(name: str, say: Report = print_to_stderr) -> dict[str, Path]:
    """The file of every split, from the cache, or fetched into it: CSV, or NPZ; of messages CSV of text and label.

    Args:
        name: one of `names()`.
        say: takes a sentence about what is being done; nothing is said when all is in the cache.

    Raises:
        OptionError: no data set has this name.
        DataError: it cannot be fetched, is another one than expected, or the cache cannot be written.
    """
    known = get(name)
    folder = f"{name}-{known.cache_key()}"
    if (paths := cache.load(folder, known.sums_by_file())) is not None:
        return paths
    with cache.lock(folder, lambda: say(f"another process is fetching {name}; waiting until it is there")):
        if (paths := cache.load(folder, known.sums_by_file())) is not None:
            return paths
        if (cache.root_folder() / folder).exists():
            say(f"{cache.root_folder() / folder} is not as it was written; fetching {name} again")
        cache.store(folder, known.fetch(say))
        paths = cache.load(folder, known.sums_by_file())
    if paths is None:
        raise DataError(f"{cache.root_folder() / folder} changed while it was written; fetch {name} again")
    return paths

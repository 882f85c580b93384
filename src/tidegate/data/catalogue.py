"""The public data sets that tidegate can fetch by name: one file each in `sets/`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from difflib import get_close_matches
from pathlib import Path

from tidegate.data import cache, sets
from tidegate.data.dataset import DataSet, Report
from tidegate.errors import DataError, OptionError


def list_names() -> list[str]:
    """Return the names of all data sets in alphabetical order.

    >>> "reuters_r8" in list_names()
    True
    """
    return sorted(module.name for module in pkgutil.iter_modules(sets.__path__))


def get(name: str) -> DataSet:
    """Return the description of a data set.

    Raises:
        OptionError: no data set has this name.

    >>> get("trec").rows
    {'train': 5452, 'test': 500}
    """
    all_names = list_names()
    if name not in all_names:
        near = get_close_matches(name, all_names, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise OptionError(f"unknown data set {name!r}; {hint}choose one of {', '.join(all_names)}")
    data_set = importlib.import_module(f"{sets.__name__}.{name}").SET
    assert isinstance(data_set, DataSet), name
    return data_set


def print_to_stderr(message: str) -> None:
    """Write a message to standard error."""
    print(message, file=sys.stderr)


def find_cached(name: str) -> dict[str, Path]:
    """Return the file of every split if all of them are complete in the cache, else an empty dict.

    Raises:
        OptionError: no data set has this name.
    """
    data_set = get(name)
    return cache.load(f"{name}-{data_set.cache_key()}", data_set.sums_by_file()) or {}


def fetch(name: str, report: Report = print_to_stderr) -> dict[str, Path]:
    """Return the file of every split, and fetch them into the cache first if needed.

    Texts are CSV files with the columns text and label; series are CSV or NPZ files.

    Args:
        name: one of `names()`.
        report: is called with a sentence about each step; not at all if everything is in the cache.

    Raises:
        OptionError: no data set has this name.
        DataError: it cannot be fetched, its content is not as expected, or the cache cannot be written.
    """
    data_set = get(name)
    folder, sums = f"{name}-{data_set.cache_key()}", data_set.sums_by_file()
    if (paths := cache.load(folder, sums)) is not None:
        return paths
    with cache.lock(folder, lambda: report(f"another process is fetching {name}; waiting for it")):
        if (paths := cache.load(folder, sums)) is not None:
            return paths
        if (cache.root_folder() / folder).exists():
            report(f"{cache.root_folder() / folder} was modified; fetching {name} again")
        cache.store(folder, data_set.fetch(report))
        paths = cache.load(folder, sums)
    if paths is None:
        raise DataError(f"{cache.root_folder() / folder} changed while it was being written; fetch {name} again")
    return paths

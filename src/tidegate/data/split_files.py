"""Make the files of a data set's splits, which the cache stores."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pairs = list[tuple[str, str]]
COLUMNS = ("text", "label")


@dataclass(frozen=True)
class SplitFile:
    """The file of one split.

    Args:
        suffix: ".csv" or ".npz".
        data: its bytes, which are the same each time it is made.
        rows: the number of rows, series or steps in it.
        labels: the labels in it.
    """

    suffix: str
    data: bytes
    rows: int
    labels: frozenset[str] = frozenset()


def csv_from_pairs(pairs: Pairs) -> SplitFile:
    """Make a CSV file with the columns text and label.

    >>> csv_from_pairs([("hi", "greet")]).data
    b'text,label\\nhi,greet\\n'
    """
    return csv_from_rows(COLUMNS, pairs, frozenset(label for _, label in pairs))


def csv_from_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], labels: frozenset[str]) -> SplitFile:
    """Make a CSV file with any columns. labels: those in it.

    >>> csv_from_rows(("text", "tags"), [("to york", "O B-city")], frozenset()).data
    b'text,tags\\nto york,O B-city\\n'
    """
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    return SplitFile(".csv", file.getvalue().encode(), len(rows), labels)


def csv_from_lines(header: str, lines: Sequence[str]) -> SplitFile:
    """Make a CSV file of a header and lines that are already CSV.

    >>> csv_from_lines("time,load", ["1,2.5"]).data
    b'time,load\\n1,2.5\\n'
    """
    return SplitFile(".csv", "".join(f"{line}\n" for line in (header, *lines)).encode(), len(lines))


def npz_from_series(x: npt.NDArray[Any], y: Iterable[object], **more: Sequence[Any] | npt.NDArray[Any]) -> SplitFile:
    """Make an NPZ archive of `x`, the labels `y`, and other arrays that docs/data.md describes.

    >>> npz_from_series(np.zeros((2, 3, 1)), [1, 2], columns=["v"]).labels == {"1", "2"}
    True
    """
    labels = np.array(list(y))
    data = _write_arrays({"x": x, "y": labels, **more})
    return SplitFile(".npz", data, len(labels), frozenset(map(str, labels.tolist())))


def npz_from_steps(series: Mapping[str, npt.NDArray[Any]], columns: Sequence[str]) -> SplitFile:
    """Make an NPZ archive of series of any lengths, by id, each [steps, columns]; its rows are their steps.

    >>> npz_from_steps({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}, ["v"]).rows
    5
    """
    x, lengths = np.concatenate(list(series.values())), [len(one) for one in series.values()]
    data = _write_arrays({"x": x, "lengths": lengths, "ids": list(series), "columns": columns})
    return SplitFile(".npz", data, len(x))


def _write_arrays(arrays: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> bytes:
    """Return the bytes of an archive; numpy.savez writes other bytes in other versions of Python."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member, content = zipfile.ZipInfo(f"{name}.npy"), io.BytesIO()
            member.create_system = 3
            np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
            archive.writestr(member, content.getvalue())
    return file.getvalue()

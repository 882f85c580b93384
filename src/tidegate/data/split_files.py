"""Make the files of a data set's splits, which the cache stores."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
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
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # numpy.savez writes other bytes in other versions of Python
        for name, array in {"x": x, "y": labels, **more}.items():
            member, content = zipfile.ZipInfo(f"{name}.npy"), io.BytesIO()
            member.create_system = 3
            np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
            archive.writestr(member, content.getvalue())
    return SplitFile(".npz", file.getvalue(), len(labels), frozenset(map(str, labels.tolist())))

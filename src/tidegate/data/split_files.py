"""The files that the cache holds, one a split of a data set: how they are made."""

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
        data: its bytes; the same whenever it is made anew.
        rows: how many rows, series or steps it has.
        labels: the labels in it.
    """

    suffix: str
    data: bytes
    rows: int
    labels: frozenset[str] = frozenset()


def csv_from_pairs(pairs: Pairs) -> SplitFile:
    """A CSV file with the columns text and label.

    >>> of_pairs([("hi", "greet")]).data
    b'text,label\\nhi,greet\\n'
    """
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([COLUMNS, *pairs])
    return SplitFile(".csv", file.getvalue().encode(), len(pairs), frozenset(label for _, label in pairs))


def csv_from_lines(header: str, lines: Sequence[str]) -> SplitFile:
    """A CSV file of lines that are such already.

    >>> of_lines("time,load", ["1,2.5"]).data
    b'time,load\\n1,2.5\\n'
    """
    return SplitFile(".csv", "".join(f"{line}\n" for line in (header, *lines)).encode(), len(lines))


def npz_from_series(x: npt.NDArray[Any], y: Iterable[object], **more: Sequence[Any] | npt.NDArray[Any]) -> SplitFile:
    """An NPZ archive of `x`, the labels `y`, and further arrays; docs/data.md says which.

    >>> of_series(np.zeros((2, 3, 1)), [1, 2], columns=["v"]).labels == {"1", "2"}
    True
    """
    labels = np.array(list(y))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # numpy.savez gives other bytes in other versions of Python
        for name, array in {"x": x, "y": labels, **more}.items():
            member, content = zipfile.ZipInfo(f"{name}.npy"), io.BytesIO()
            member.create_system = 3
            np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
            archive.writestr(member, content.getvalue())
    return SplitFile(".npz", file.getvalue(), len(labels), frozenset(map(str, labels.tolist())))

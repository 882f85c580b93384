"""Names of columns: is the wanted one there, and if not, which is meant?"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from tidegate.data.lookalikes import difference, seen
from tidegate.errors import DataError


class MissingColumn(DataError):
    """A column `wanted` that was asked for is not there; `names` are there, `hint` is what its message ends with."""

    wanted: str = ""
    names: Sequence[str] = ()
    hint: str = ""
    alike: bool = False  # whether the hint names a column that only looks like the wanted one


def check_columns(path: str, names: Sequence[str], wanted: Sequence[str], container: str) -> None:
    """Raise DataError if a name is there twice, or one of `wanted` is not.

    Args:
        path, names, holder: as below.
        wanted: the names of columns.

    >>> check_columns("frame", ["a", "b", "a"], ["b"], "frame")
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: frame: columns 1 and 3 are both 'a'; rename one
    """
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if name in seen:
            raise DataError(f"{path}: columns {seen[name]} and {number} are both {name!r}; rename one")
        seen[name] = number
    for name in wanted:
        check_column(path, name, names, container)


def check_column(place: str, wanted: str, names: Sequence[str], container: str = "file") -> None:
    """Raise MissingColumn unless `wanted` is one of `names`; the message shows them and the nearest.

    Args:
        place: the file, or the file and line, for the message.
        wanted: the name of a column or key.
        names: those that exist.
        holder: what has them.

    >>> check_column("a.csv", "lable", ["text", "label"])
    Traceback (most recent call last):
        ...
    tidegate.data.columns.MissingColumn: a.csv: no column 'lable'; the file has 'text', 'label'; did you mean 'label'?
    """
    if wanted in names:
        return
    shown = ", ".join(repr(name) for name in names[:12]) + (" ..." if len(names) > 12 else "")
    alike = [name for name in names if seen(name) == seen(wanted)]
    near = alike or get_close_matches(wanted, names, 1)
    how = f", which differs by {difference(wanted, near[0])}" if alike else ""
    hint = f"; did you mean {near[0]!r}{how}?" if near else ""
    error = MissingColumn(f"{place}: no column {wanted!r}; the {container} has {shown or 'none'}{hint}")
    error.wanted, error.names, error.hint, error.alike = wanted, names, hint, bool(alike)
    raise error

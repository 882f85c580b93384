"""Check the names of columns: is the requested one there, and if not, which one may be meant?"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from tidegate.data.lookalikes import describe_difference, visible_form
from tidegate.errors import DataError


class MissingColumn(DataError):
    """The requested column `wanted` is missing; `names` exist, and the message ends with `hint`."""

    wanted: str = ""
    names: Sequence[str] = ()
    hint: str = ""
    alike: bool = False  # whether the hint is a column whose name looks the same


def check_columns(path: str, names: Sequence[str], wanted: Sequence[str], container: str) -> None:
    """Raise DataError if a name is repeated, or MissingColumn if one of `wanted` is missing.

    Args:
        path, names, container: as in `check_column`.
        wanted: the names of the requested columns.

    >>> check_columns("frame", ["a", "b", "a"], ["b"], "frame")
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: frame: columns 1 and 3 are both 'a'; rename one
    """
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if name in first:
            raise DataError(f"{path}: columns {first[name]} and {number} are both {name!r}; rename one")
        first[name] = number
    for name in wanted:
        check_column(path, name, names, container)


def check_column(place: str, wanted: str, names: Sequence[str], container: str = "file") -> None:
    """Raise MissingColumn unless `wanted` is one of `names`; the message lists them and suggests the closest one.

    Args:
        place: the file, or the file and line, for the message.
        wanted: the name of a column or key.
        names: those that exist.
        container: what they are in, for the message: "file", "table", "object" ...

    >>> check_column("a.csv", "lable", ["text", "label"])
    Traceback (most recent call last):
        ...
    tidegate.data.columns.MissingColumn: a.csv: no column 'lable'; the file has 'text', 'label'; did you mean 'label'?
    """
    if wanted in names:
        return
    shown = ", ".join(repr(name) for name in names[:12]) + (" ..." if len(names) > 12 else "")
    alike = [name for name in names if visible_form(name) == visible_form(wanted)]
    near = alike or get_close_matches(wanted, names, 1)
    how = f", which differs by {describe_difference(wanted, near[0])}" if alike else ""
    hint = f"; did you mean {near[0]!r}{how}?" if near else ""
    error = MissingColumn(f"{place}: no column {wanted!r}; the {container} has {shown or 'none'}{hint}")
    error.wanted, error.names, error.hint, error.alike = wanted, names, hint, bool(alike)
    raise error

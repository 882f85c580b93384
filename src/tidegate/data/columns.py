"""Names of columns: is the wanted one there, and if not, which is meant?"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from tidegate.errors import DataError


def check_column(place: str, wanted: str, names: Sequence[str], holder: str = "file") -> None:
    """Raise DataError unless `wanted` is one of `names`; the message shows them and the nearest.

    Args:
        place: the file, or the file and line, for the message.
        wanted: the name of a column or key.
        names: those that exist.
        holder: what has them.

    >>> check_column("a.csv", "lable", ["text", "label"])
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: a.csv: no column 'lable'; the file has 'text', 'label'; did you mean 'label'?
    """
    if wanted in names:
        return
    shown = ", ".join(repr(name) for name in names[:12]) + (" ..." if len(names) > 12 else "")
    near = get_close_matches(wanted, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise DataError(f"{place}: no column {wanted!r}; the {holder} has {shown or 'none'}{hint}")

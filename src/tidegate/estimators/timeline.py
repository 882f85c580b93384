"""What a forecaster takes as y and X: the numbers of a series, and the form in which an answer goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series import of_arrays
from ..errors import DataError, OptionError
from ..features.frequency import Frequency, following, inferred

Floats = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
ENDS = ("lower", "upper")


class Timeline:
    """One series of an array: values float64 [T, columns], and answers as arrays.

    columns: names, None where they have none. times, local, zone: as of `data.collection.Series`. frequency: by which
    times go on, once `settle` has found it.
    """

    form = "array"
    columns: list[str] | None
    times: Times | None = None
    local: Times | None = None
    zone: str = ""
    counts: Steps | None = None
    frequency: Frequency | None = None

    def __init__(self, y: Any) -> None:
        try:
            found = np.asarray(y)
        except ValueError as error:
            raise DataError("it is no array: its rows differ in length; give every step the same columns") from error
        if found.ndim not in (1, 2) or 0 in found.shape:
            raise DataError(
                f"y has the shape {list(found.shape)}; expected [steps] or [steps, columns], with one or more"
            )
        self.flat = found.ndim == 1
        self.values: Floats = of_arrays([found]).series[0].values
        self.columns = None

    def __len__(self) -> int:
        return len(self.values)

    def settle(self) -> None:
        """Finds out what follows the last step. Raises DataError where nobody can tell."""

    def settle_times(self, where: str) -> None:
        """Finds the frequency of the times. Raises DataError where none explains every gap."""
        assert self.times is not None
        self.frequency = inferred(self.times, self.local)
        if self.frequency is None and len(self) < 2:
            raise DataError(f"one time {where} does not tell what follows; give two or more rows")
        if self.frequency is None:
            raise DataError(
                f"the times {where} follow no calendar that explains every gap, so nobody can tell what follows; add "
                "the steps that are missing, with NaN, or give y without times, whose steps are counted"
            )

    def following(self, count: int) -> tuple[Times, Times | None]:
        """The times of the steps after this series, and their wall clocks. Raises DataError beyond the year 9999."""
        assert self.times is not None
        found = following(self.times, count, self.frequency, self.local, self.zone)
        if found is None:
            raise DataError(f"{count} steps after the last one lie beyond the year 9999; ask for fewer")
        return found

    @property
    def cutoff(self) -> Any:
        """What the last step is called."""
        return len(self) - 1

    def relative(self, fh: Any) -> list[int]:
        """How many steps ahead an absolute horizon of this form is. Raises OptionError."""
        raise OptionError(f"fh is {fh!r}; expected steps ahead, integers from 1")

    def joined(self, more: Timeline) -> Timeline:
        """This one and what comes right after it. Raises DataError for what does not follow."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        self.check_alike(more)
        made.values = np.concatenate([self.values, more.values])
        return made

    def check_alike(self, more: Timeline) -> None:
        """Raises DataError for another form or other columns."""
        if more.form != self.form or more.columns != self.columns or more.values.shape[1] != self.values.shape[1]:
            raise DataError(f"found {more.described()}; expected {self.described()}, as before")

    def described(self) -> str:
        names = (
            "" if self.columns is None else f" ({', '.join(self.columns[:8])}{', ...'[: 5 * (len(self.columns) > 8)]})"
        )
        return f"{self.form}, {self.values.shape[1]} column{'s'[: self.values.shape[1] != 1]}{names}"

    def beside(self, X: Timeline) -> Floats:
        """The rows of X that belong to the steps of this series [T, columns]. Raises DataError."""
        if len(X) != len(self):
            raise DataError(f"X has {len(X)} rows and y has {len(self)}; each step has one")
        return X.values

    def ahead(self, X: Timeline, count: int) -> Floats:
        """The rows of X for the `count` steps after this series [count, columns]. Raises DataError."""
        if len(X) < count:
            raise DataError(f"X has {len(X)} rows; the model reads {count} steps ahead; give X for all of them")
        return X.values[:count]

    # ---- answers

    def answer(self, steps: Steps, values: Floats) -> Any:
        """Values [n, columns] of the steps ahead, in this series' form."""
        return values[:, 0] if self.flat else values

    def spread(self, steps: Steps, values: Floats, levels: Sequence[Any]) -> Any:
        """The same of values [n, columns, levels], or [n, columns, levels, 2] where a level has two ends."""
        return values[:, 0] if self.flat else values


def names_of(columns: list[Any]) -> list[str]:
    """The names of columns as text. Raises DataError for two of one name, or names of several levels."""
    for name in columns:
        if isinstance(name, tuple):
            raise DataError(f"its columns have {len(name)} levels, as {name}; give each one name")
    found = [str(name) for name in columns]
    if len(set(found)) != len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise DataError(f"the column {twice!r} is there twice; rename one")
    return found


def check_ascending(index: npt.NDArray[Any], shown: Any) -> None:
    """Raises DataError unless int64 [T] ascend. shown: labels by position."""
    if len(late := np.flatnonzero(np.diff(index) <= 0)):
        t = int(late[0])
        raise DataError(f"the index has {shown[t + 1]} after {shown[t]}; sort it, and keep each step once")

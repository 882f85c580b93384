"""A timeline: one series in y or X, its numbers and the labels of its steps. This is the base class, for arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series import from_arrays
from ..errors import DataError, OptionError
from ..features.frequency import Frequency, extend_times, infer_frequency

Floats = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
BOUNDS = ("lower", "upper")


class Timeline:
    """One series in an array; forecasts are arrays too.

    values: float64 [T, columns]. columns: their names, or None. times, local, zone, counts: as in
    `data.collection.Series`. frequency: how the times continue, set by `infer_frequency`.
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
            array = np.asarray(y)
        except ValueError as error:
            raise DataError(
                "its rows differ in length, so it is not an array; give every step the same columns"
            ) from error
        if array.ndim not in (1, 2) or 0 in array.shape:
            raise DataError(
                f"y has the shape {list(array.shape)}; expected [steps] or [steps, columns], one or more of each"
            )
        self.is_1d = array.ndim == 1
        self.values: Floats = from_arrays([array]).series[0].values
        self.columns = None

    def __len__(self) -> int:
        return len(self.values)

    def infer_frequency(self) -> None:
        """Find out which label follows the last one. Raises DataError if it cannot be known."""

    def infer_time_frequency(self, where: str) -> None:
        """Find the frequency of the times. Raises DataError if none explains every gap. where: for messages."""
        assert self.times is not None
        self.frequency = infer_frequency(self.times, self.local)
        if self.frequency is None and len(self) < 2:
            raise DataError(f"a single time {where} does not show the frequency; give two or more rows")
        if self.frequency is None:
            raise DataError(
                f"the times {where} have no frequency that explains every gap, so the next times are unknown; add the "
                "missing steps, with NaN, or give y without times: its steps are then counted"
            )

    def future_times(self, count: int) -> tuple[Times, Times | None]:
        """Return the next `count` times and their local times. Raises DataError beyond the year 9999."""
        assert self.times is not None
        times = extend_times(self.times, count, self.frequency, self.local, self.zone)
        if times is None:
            raise DataError(f"{count} steps after the last one would go beyond the year 9999; forecast fewer steps")
        return times

    @property
    def cutoff(self) -> Any:
        """The label of the last step."""
        return len(self) - 1

    def to_relative(self, fh: Any) -> list[int]:
        """Convert labels of future steps to numbers of steps ahead. Raises OptionError."""
        raise OptionError(f"fh is {fh!r}; expected numbers of steps ahead, integers from 1")

    def append(self, more: Timeline) -> Timeline:
        """Return this series followed by the next steps. Raises DataError unless they come right after its end."""
        longer = type(self).__new__(type(self))
        longer.__dict__.update(self.__dict__)
        self.check_compatible(more)
        longer.values = np.concatenate([self.values, more.values])
        return longer

    def check_compatible(self, more: Timeline) -> None:
        """Raise DataError if the type or the columns differ."""
        if more.form != self.form or more.columns != self.columns or more.values.shape[1] != self.values.shape[1]:
            raise DataError(f"found {more.describe()}; expected {self.describe()}, like the rest of y")

    def describe(self) -> str:
        """Return the type and the columns in words."""
        names = (
            "" if self.columns is None else f" ({', '.join(self.columns[:8])}{', ...'[: 5 * (len(self.columns) > 8)]})"
        )
        return f"{self.form}, {self.values.shape[1]} column{'s'[: self.values.shape[1] != 1]}{names}"

    def align(self, X: Timeline) -> Floats:
        """Return the rows of X for the steps of this series, [T, columns]. Raises DataError if one is missing."""
        if len(X) != len(self):
            raise DataError(f"X has {len(X)} rows and y has {len(self)}; give X one row for each step of y")
        return X.values

    def align_future(self, X: Timeline, count: int) -> Floats:
        """Return the rows of X for the next `count` steps, [count, columns]. Raises DataError if one is missing."""
        if len(X) < count:
            raise DataError(
                f"X has {len(X)} rows, but the model reads X for {count} steps ahead; give X for all of them"
            )
        return X.values[:count]

    # ---- forecasts

    def format_predictions(self, steps: Steps, values: Floats) -> Any:
        """Return values [n, columns] of the steps ahead in the type of this series. steps: int64 [n], from 1."""
        return values[:, 0] if self.is_1d else values

    def format_quantiles(self, steps: Steps, values: Floats, levels: Sequence[Any]) -> Any:
        """Do the same for values [n, columns, levels], or [n, columns, levels, 2] if a level has two bounds."""
        return values[:, 0] if self.is_1d else values


def to_column_names(columns: list[Any]) -> list[str]:
    """Return the names of columns as text. Raises DataError for a repeated name, or names with several levels."""
    for name in columns:
        if isinstance(name, tuple):
            raise DataError(f"its columns have {len(name)} levels, such as {name}; give each column one name")
    names = [str(name) for name in columns]
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise DataError(f"two columns are named {repeated!r}; rename one")
    return names


def check_ascending(index: npt.NDArray[Any], labels: Any) -> None:
    """Raise DataError unless int64 [T] increase. labels: of the steps, for messages."""
    if len(late := np.flatnonzero(np.diff(index) <= 0)):
        t = int(late[0])
        raise DataError(f"the index has {labels[t + 1]} after {labels[t]}; sort it, and remove repeated steps")

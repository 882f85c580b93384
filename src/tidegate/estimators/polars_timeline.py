"""Columns and frames of polars: a column of times, where there is one, goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series import of_arrays
from ..errors import DataError
from .timelines import ENDS, Floats, Steps, Timeline, check_ascending, names_of


class PolarsTimeline(Timeline):
    """A Series, or a DataFrame of columns of numbers and at most one of times, which answers have too."""

    form = "polars"

    def __init__(self, y: Any) -> None:
        self.flat = not hasattr(y, "columns")
        frame = y.to_frame() if self.flat else y
        clocks = [name for name, kind in frame.schema.items() if kind.is_temporal()]
        if len(clocks) > 1:
            raise DataError(f"the columns {', '.join(map(repr, clocks))} hold times; leave one of them")
        self.clock = frame[clocks[0]] if clocks else None
        frame = frame.drop(clocks)
        self.names = list(frame.columns)
        self.columns = None if self.flat and not self.names[0] else names_of(self.names)
        if bad := [name for name, kind in frame.schema.items() if not (kind.is_numeric() or str(kind) == "Boolean")]:
            raise DataError(f"the column {bad[0]!r} holds {frame.schema[bad[0]]}; expected numbers; leave it out")
        if not self.names or not len(frame):
            raise DataError(f"it has {len(frame)} rows and {len(self.names)} columns of numbers; expected one or more")
        columns = [frame[name].cast(float).to_numpy().astype(np.float64) for name in self.names]
        self.values = of_arrays([np.stack(columns, 1)]).series[0].values
        self.every: tuple[int, str] | None = None
        self.times = None if self.clock is None else moments(self.clock)

    def settle(self) -> None:
        if self.clock is not None:
            self.every = gap(self.clock)

    @property
    def cutoff(self) -> Any:
        """The last time, or the index of the last step."""
        return len(self) - 1 if self.clock is None else self.clock[-1]

    def onward(self, count: int) -> Any:
        """The times of the steps after this series."""
        import polars

        assert self.clock is not None
        assert self.every is not None
        length, unit = self.every
        return polars.concat([self.clock[-1:].dt.offset_by(f"{length * k}{unit}") for k in range(1, count + 1)])

    def joined(self, more: Timeline) -> Timeline:
        made = super().joined(more)
        assert isinstance(more, PolarsTimeline)
        assert isinstance(made, PolarsTimeline)
        if self.clock is None or more.clock is None:
            if (self.clock is None) != (more.clock is None):
                raise DataError("one part has a column of times and the other has none; give both or neither")
            return made
        following = self.onward(len(more))
        if following.to_list() != more.clock.to_list():
            raise DataError(
                f"y goes on at {more.clock[0]}; the step after the last one, {self.clock[-1]}, is {following[0]}"
            )
        made.clock = self.clock.clone().append(following)
        made.times = moments(made.clock)
        return made

    def beside(self, X: Timeline) -> Floats:
        return super().beside(X) if self.clock is None else rows_at(X, self.clock)

    def ahead(self, X: Timeline, count: int) -> Floats:
        return super().ahead(X, count) if self.clock is None else rows_at(X, self.onward(count))

    # ---- answers

    def answer(self, steps: Steps, values: Floats) -> Any:
        import polars

        if self.flat:
            return polars.Series(self.names[0], values[:, 0])
        return self.frame(steps, dict(zip(self.names, values.T, strict=True)))

    def spread(self, steps: Steps, values: Floats, levels: Sequence[Any]) -> Any:
        columns: dict[str, npt.NDArray[Any]] = {}
        for c, name in enumerate(self.names):
            for k, level in enumerate(levels):
                if values.ndim == 3:
                    columns["_".join(filter(None, (name, str(level))))] = values[:, c, k]
                    continue
                for e, end in enumerate(ENDS):
                    columns["_".join(filter(None, (name, end, str(level))))] = values[:, c, k, e]
        return self.frame(steps, columns)

    def frame(self, steps: Steps, columns: dict[str, npt.NDArray[Any]]) -> Any:
        import polars

        if self.clock is None:
            return polars.DataFrame(columns)
        return polars.DataFrame({self.clock.name: self.onward(int(steps.max())).gather(steps - 1), **columns})


def moments(clock: Any) -> npt.NDArray[np.datetime64]:
    """datetime64[us] [T], in UTC where the column has a zone. Raises DataError unless all are there and ascend."""
    if clock.null_count():
        raise DataError(f"the column {clock.name!r} has no time in row {int(clock.is_null().arg_max() or 0) + 1}")
    found = clock.dt.epoch("us").to_numpy()
    check_ascending(found, clock)
    return np.asarray(found.astype("M8[us]"))


def gap(clock: Any) -> tuple[int, str]:
    """How far steps lie apart, as a number of microseconds or months. Raises DataError where that differs."""
    if len(clock) < 2:
        raise DataError(f"one time in column {clock.name!r} does not tell what follows; give two or more rows")
    micros = moments(clock).astype(np.int64)
    gaps = np.diff(micros)
    if len(set(gaps.tolist())) == 1:
        return int(gaps[0]), "us"
    months = np.diff((clock.dt.year().cast(int) * 12 + clock.dt.month()).to_numpy())
    months_alone = len(set(months.tolist())) == 1 and months[0] > 0
    if months_alone and clock.dt.offset_by(f"{int(months[0])}mo")[:-1].to_list() == clock[1:].to_list():
        return int(months[0]), "mo"
    raise DataError(f"the times in column {clock.name!r} are not equally far apart, so nobody can tell what follows")


def rows_at(X: Timeline, labels: Any) -> Floats:
    """The rows of X at these times. Raises DataError for one that it does not have."""
    if not isinstance(X, PolarsTimeline) or X.clock is None:
        raise DataError("y has a column of times and X has none; give both in one form")
    places = {moment: i for i, moment in enumerate(X.clock.to_list())}
    for label in labels.to_list():
        if label not in places:
            raise DataError(f"X has no row for {label}; give it one for every step")
    return np.asarray(X.values[[places[label] for label in labels.to_list()]])

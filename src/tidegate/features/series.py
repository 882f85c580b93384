"""Convert series of numbers to the rows that a model's first layer takes, and its outputs back to the data's units.

A step has one number for each column. Columns have roles: `target` is forecast, `past` is known up to now, `known` is
known `horizon` steps ahead (each step has the number of the step that far ahead), `static` never changes. Missing
numbers (NaN) are handled by one of four policies. Then numbers are standardised by the statistics of their series in
training, or by a window of the latest steps, which may be split into segments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .calendar import encode_times
from .frequency import Frequency
from .scaling import Scaling as Scaling
from .steps import LARGEST, Flags, Floats, Indices, Rows, as_slice, forward_fill, sum_steps, take_latest, zero_missing
from .window import Window as Window

ROLES: Final = ("target", "past", "known", "static")
MISSING: Final = ("error", "drop", "ffill", "mask")
CENTRES: Final = ("last", "mean")
SPREADS: Final = ("training", "window")
HEADS: Final = ("direct", "autoregressive")
FIRST: Final = np.arange(1)
FLAT: Final = 1e-13  # relative to the largest number: what varies by less is constant, up to float64 rounding


@dataclass(frozen=True)
class ForecastSpec:
    """What a model forecasts: these quantiles of each target, `horizon` steps ahead.

    head: "direct": all steps at once; "autoregressive": one step, which is fed back for the next.
    """

    horizon: int
    quantiles: tuple[float, ...]
    head: str = "direct"

    @property
    def output_horizon(self) -> int:
        """How many steps ahead the layers' output goes, and known columns are known."""
        return self.horizon if self.head == "direct" else 1


class ColumnIndices(NamedTuple):
    """Indices of columns and steps.

    target: the target columns. windowed: those that are standardised by their window. windowed_targets: the targets
    among these. others: the rest. season_steps: where, relative to a window's end, the steps a season before those
    ahead are.
    """

    target: slice | list[int]
    windowed: slice | list[int]
    windowed_targets: slice | list[int]
    others: list[int]
    season_steps: Indices


@dataclass(frozen=True)
class SeriesTransform:
    """An entry of kind `series` in a model file, with what an output forecasts of it: converts raw steps to rows.

    names: those of the series that `mean` and `deviation` [series, columns] belong to; None if all series are treated
    alike. A mean without deviations only replaces missing numbers at the start (policy "mask"); with deviations it
    standardises. zone, frequency: of the times in training, see `frequency`; the zone is "" if the times had none, and
    None if it is unknown.
    """

    columns: tuple[str, ...]
    roles: tuple[str, ...]
    calendar: tuple[str, ...] = ()
    missing: str = "error"
    names: tuple[str, ...] | None = None
    mean: Floats | None = None
    deviation: Floats | None = None
    window: Window | None = None
    forecast: ForecastSpec | None = None
    zone: str | None = None
    frequency: Frequency | None = None

    # ---- sizes

    @cached_property
    def width(self) -> int:
        """How many numbers an imputed step has: values, flags of missing numbers, calendar features."""
        return len(self.columns) * (2 if self.missing == "mask" else 1) + 2 * len(self.calendar)

    @cached_property
    def features(self) -> int:
        """How many numbers a row of the first layer has."""
        return self.width * (self.window.segment if self.window else 1)

    @cached_property
    def targets(self) -> int:
        """How many columns are targets."""
        return self.roles.count("target")

    def find_columns(self, *roles: str) -> list[int]:
        """Return the indices of the columns that have one of these roles."""
        return [i for i, role in enumerate(self.roles) if role in roles]

    @cached_property
    def fills(self) -> bool:
        """Whether missing numbers are replaced by the last number of their column."""
        return self.missing in ("ffill", "mask")

    # ---- from raw steps to imputed steps

    def impute(
        self, x: npt.NDArray[Any], times: Any, last: Floats | None = None, first: int = 0
    ) -> tuple[Floats, Indices, Floats]:
        """Handle the missing numbers of steps [T, columns].

        times: datetime64 [T], used only with a calendar. last: the last value of each column [columns], None at the
        start. first: the number of the first step, for messages.

        Returns the steps that are kept, float64 [T', width], their indices [T'], and the last values after them. Raises
        DataError for infinity, and for NaN if the policy is "error".
        """
        values, holes = self.read_numbers(x, lambda t: f"step {first + t}")
        last = self.initial_fill if last is None else last
        if self.fills:
            values, last = forward_fill(values, holes, last)
        return *self.select_steps(values, holes, times), last

    def impute_batch(
        self, x: npt.NDArray[Any], times: Any, last: Floats, place: Callable[[int], str]
    ) -> tuple[Floats, Indices, Floats]:
        """Do `impute` for one step of each of n streams [n, columns]. last: their last values [n, columns]."""
        values, holes = self.read_numbers(x, place)
        if self.fills:
            values = last = values if holes is None else np.where(holes, last, values)
        return *self.select_steps(values, holes, times), last

    def read_numbers(self, x: npt.NDArray[Any], place: Callable[[int], str]) -> tuple[Floats, Flags | None]:
        """Return steps as float64 and which numbers are missing, None if none is. Raises DataError."""
        values = np.asarray(x, np.float64)
        if np.vdot(values, values) <= LARGEST:  # so is the square of each, and none is NaN; a stream waits for it
            return values, None
        usable = np.abs(values) <= LARGEST
        if usable.all():
            return values, None
        holes = np.isnan(values)
        self.refuse(x, ~usable & ~holes if self.missing != "error" else ~usable, place)
        return values, holes

    def select_steps(self, values: Floats, holes: Flags | None, times: Any) -> tuple[Floats, Indices]:
        """Add flags and calendar features to the steps that are kept: float64 [T', width]; return their indices too."""
        keep = FIRST if len(values) == 1 else np.arange(len(values))
        if holes is not None and self.missing in ("drop", "ffill"):
            keep = np.flatnonzero(~np.isnan(values).any(1))
            values, times = values[keep], times[keep] if self.calendar else None
        parts: list[npt.NDArray[Any]] = [values]
        if self.missing == "mask":
            parts.append(np.zeros(values.shape) if holes is None else holes.astype(np.float64))
        if self.calendar:
            parts.append(encode_times(times, self.calendar))
        return np.concatenate(parts, 1) if len(parts) > 1 else values, keep

    @cached_property
    def initial_fill(self) -> Floats:
        """The fill values of the first series."""
        return self.fill_values()

    def fill_values(self, series: int = 0) -> Floats:
        """Return what replaces numbers missing at the start: the mean in training, or NaN; float64 [columns]."""
        if self.missing == "mask" and self.mean is not None:
            return np.array(self.mean[series], np.float64)
        return np.full(len(self.columns), np.nan)

    def refuse(self, x: npt.NDArray[Any], bad: Flags, place: Callable[[int], str]) -> None:
        """Raise DataError for the first number that cannot be used, if there is one."""
        if not bad.any():
            return
        t, c = np.argwhere(bad)[0]
        number, at = x[t, c], f"{place(int(t))}, {self.columns[c]!r}"
        if np.isnan(number):
            raise DataError(
                f"{at}: NaN, and this model was fitted with --missing error; fill it, or fit with --missing drop, "
                "ffill or mask"
            )
        fault = "is infinite" if np.isinf(number) else f"is {number}; the largest number allowed is {LARGEST:.3g}"
        raise DataError(f"{at}: {fault}; correct it, or leave it out as missing")

    # ---- fixed scaling

    def find_series(self, name: str | None) -> int:
        """Return the row of a series in the statistics. Raises DataError for a series that was not in training."""
        if self.names is None:
            return 0
        if name not in self.series_rows:
            known = ", ".join(map(repr, self.names[:5])) + (" ..." if len(self.names) > 5 else "")
            fault = "no series was named" if name is None else f"the series {name!r} was not in training"
            raise DataError(
                f"{fault}, and this model scales each by its own statistics; it knows {known}; fit with --scale window "
                "to use new series"
            )
        return self.series_rows[name]

    @cached_property
    def series_rows(self) -> dict[str | None, int]:
        """The rows in the statistics, by the names of the series."""
        return {name: i for i, name in enumerate(self.names or ())}

    @np.errstate(over="ignore", invalid="ignore")
    def scale_fixed(self, steps: Floats, series: int | Indices) -> Rows:
        """Standardise imputed steps [T, width] by the statistics of training, if there are any: float32 [T, width].

        series: the row of the statistics, or one for each step [T].
        """
        rows = steps.astype(np.float32)
        if self.mean is not None and self.deviation is not None:
            C = len(self.columns)
            rows[:, :C] = (steps[:, :C] - self.mean[series]) / self.deviation[series]
        return rows

    def fixed_scaling(self, series: int | Indices, count: int = 1) -> Scaling:
        """Return the scaling of `count` forecasts by statistics of training. series: their row, or a row for each."""
        assert self.forecast, "a model that forecasts"
        assert self.mean is not None
        assert self.deviation is not None
        centre, spread = (v[:, self.column_indices.target][series] for v in (self.mean, self.deviation))
        shape = (count, self.targets)
        base = np.zeros((count, self.forecast.output_horizon, self.targets))
        return Scaling(np.broadcast_to(centre, shape), np.broadcast_to(spread, shape), base)

    # ---- windows

    @np.errstate(over="ignore", invalid="ignore")
    def make_windows(self, steps: Floats, ends: Indices, available: Indices | None = None) -> tuple[Rows, Scaling]:
        """Return the standardised windows that end with the imputed steps `ends` [B], and their scaling.

        steps: float64 [T, width]. available: how many steps there are up to each end, including it [B]; None: enough.

        Windows are standardised in float64 and returned as float32 [B, length / segment, features]. A window that is
        not full has `Window.count_rows` rows, and then zeros.
        """
        w, at = self.window, self.column_indices
        assert w, "a transform with a window"
        available = None if available is None or (available >= w.reach).all() else available
        counts: Any = w.length if available is None else w.count_steps(available)[:, None]
        present: Any = None if available is None else (np.arange(w.length) >= w.length - counts)[..., None]
        whole = zero_missing(take_latest(steps, ends, w.length, 0).astype(np.float64), present)
        moved = whole[..., at.windowed]
        if w.season:
            off = None if available is None else present & w.has_season(available)[:, None, None]
            moved = moved - zero_missing(take_latest(steps, ends, w.length, w.season)[..., at.windowed], off)
        centre, mean = moved[:, -1].copy(), None
        if w.centre == "mean" or w.spread == "window":
            # subtract a step of the window first: sums of numbers far from 0 would lose digits
            mean = centre + sum_steps(zero_missing(moved - centre[:, None], present)) / counts
            centre = centre if w.centre == "last" else mean
        spread, divisor = self.compute_spreads(moved, mean, present, counts)
        whole[..., at.windowed] = (moved - centre[:, None]) / divisor[:, None]
        if at.others and self.mean is not None and self.deviation is not None:
            whole[..., at.others] = (whole[..., at.others] - self.mean[0][at.others]) / self.deviation[0][at.others]
        K = w.length // w.segment
        rows = zero_missing(whole, present).astype(np.float32).reshape(len(ends), K, self.features)
        if available is not None:
            order = (np.arange(K) - w.count_rows(available)[:, None]) % K  # zeros behind the rows, not in front of them
            rows = np.take_along_axis(rows, order[..., None], 1)
        return rows, Scaling(
            centre[:, at.windowed_targets], spread[:, at.windowed_targets], self.season_base(steps, ends, available)
        )

    def compute_spreads(
        self, moved: Floats, mean: Floats | None, present: Flags | None, counts: Any
    ) -> tuple[Floats, Floats]:
        """Return what multiplies the forecasts of windows, and what divides their steps.

        moved: steps [B, length, windowed columns]. present, counts: which steps there are, and how many. The multiplier
        is 0 if a window is constant.
        """
        assert self.window
        if mean is None or self.window.spread == "training":
            assert self.deviation is not None
            spread = self.deviation[0:1, self.column_indices.windowed].repeat(len(moved), 0)
            return spread, spread
        spread = np.sqrt(sum_steps(zero_missing(moved - mean[:, None], present) ** 2) / counts)
        spread = np.where(spread > FLAT * np.abs(moved).max(1), spread, 0.0)
        return spread, np.where(spread > 0, spread, 1.0)

    def season_base(self, steps: Floats, ends: Indices, available: Indices | None) -> Floats:
        """Return the targets a season before each step ahead, which are added to forecasts: [B, horizon, targets].

        They are 0 if no season is subtracted.
        """
        at = self.column_indices
        if not len(at.season_steps):
            return np.zeros((len(ends), self.forecast.output_horizon if self.forecast else 0, self.targets))
        base = np.asarray(steps[np.maximum(ends[:, None] + at.season_steps, 0)][..., at.target])
        assert self.window
        return base if available is None else np.where(self.window.has_season(available)[:, None, None], base, 0.0)

    @cached_property
    def column_indices(self) -> ColumnIndices:
        """The indices of the columns of each role."""
        own, season = self.find_columns("target", "past"), self.window.season if self.window else 0
        ahead = np.arange(1, self.forecast.output_horizon + 1 if self.forecast and season else 1)
        return ColumnIndices(
            as_slice(self.find_columns("target")),
            as_slice(own),
            as_slice([own.index(i) for i in self.find_columns("target")]),
            self.find_columns("known", "static"),
            ahead - season * -(-ahead // max(1, season)),
        )

    # ---- the model file

    def to_json(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """Return the entry in a document, and its tensors. What is forecast stands in the entry of an output."""
        tensors: dict[str, Floats] = {}
        scale: dict[str, Any] | None = None
        if self.mean is not None:
            statistics = {"mean": self.mean, "deviation": self.deviation}
            tensors = {f"input.{role}": v.astype(np.float64) for role, v in statistics.items() if v is not None}
            scale = {role: None if v is None else f"input.{role}" for role, v in statistics.items()}
            scale["names"] = None if self.names is None else list(self.names)
        section: dict[str, Any] = {
            "kind": "series",
            "columns": list(self.columns),
            "roles": ["past" if role == "target" else role for role in self.roles],
            "calendar": list(self.calendar),
            "missing": self.missing,
            "scale": scale,
            "window": None if self.window is None else self.window.to_json(),
            "features": self.features,
        }
        if self.zone is not None:
            rule = None if self.frequency is None else self.frequency.to_json()
            section["times"] = {"zone": self.zone or None, "frequency": rule}
        return section, tensors

    @classmethod
    def from_json(cls, section: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> SeriesTransform:
        """Make a transform from a valid entry and its tensors. It forecasts nothing; `SeriesInput.serve` adds that."""
        transform = cls(
            tuple(section["columns"]),
            tuple(section["roles"]),
            tuple(section["calendar"]),
            section["missing"],
            window=None if section["window"] is None else Window(**section["window"]),
        )
        if (times := section.get("times")) is not None:
            frequency = None if times["frequency"] is None else Frequency(**times["frequency"])
            transform = replace(transform, zone=times["zone"] or "", frequency=frequency)
        if (scale := section["scale"]) is None:
            return transform
        names = None if scale["names"] is None else tuple(scale["names"])
        mean, deviation = (
            None if scale[role] is None else np.asarray(tensors[scale[role]], np.float64)
            for role in ("mean", "deviation")
        )
        return replace(transform, names=names, mean=mean, deviation=deviation)


def shift_columns(values: Floats, known: list[int], horizon: int) -> Floats:
    """Move the known columns of values [T, columns] up by `horizon` steps, with NaN at the end.

    >>> shift_columns(np.array([[1.0, 5.0], [2.0, 6.0]]), [1], 1).tolist()
    [[1.0, 6.0], [2.0, nan]]
    """
    shifted = values.copy()
    for c in known:
        shifted[:, c] = np.concatenate([values[horizon:, c], np.full(min(horizon, len(values)), np.nan)])
    return shifted

"""Series of numbers to the rows that a model's first layer gets, and its outputs back to the data's units.

A step has one number for each column. Columns have a role: `target` is forecast, `past` is known up to now, `known` is
known `horizon` steps ahead (a step then brings the number of the step that far ahead), `static` never changes. What is
missing (NaN) is treated by one of four policies. Then numbers are scaled by the statistics of their series in training,
or by a window of the latest steps, which is cut into segments.
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
from .steps import Flags, Floats, Indices, Rows, as_slice, forward_fill, sum_steps, take_latest, zero_missing
from .window import Window as Window

ROLES: Final = ("target", "past", "known", "static")
MISSING: Final = ("error", "drop", "ffill", "mask")
CENTRES: Final = ("last", "mean")
SPREADS: Final = ("training", "window")
HEADS: Final = ("direct", "autoregressive")
FLAT: Final = 1e-13  # what varies by less than this share of its largest number is constant but for float64's rounding
LARGEST: Final = float(np.finfo(np.float32).max)  # its square, summed over a window, still fits in float64


@dataclass(frozen=True)
class ForecastSpec:
    """What the outputs are: `horizon` steps ahead, of each target, each of these quantiles.

    head: 'direct', all of them at once; 'autoregressive', one step ahead, from which the next is made.
    """

    horizon: int
    quantiles: tuple[float, ...]
    head: str = "direct"

    @property
    def chain_horizon(self) -> int:
        """How many steps ahead the chain's output goes, and known columns are known."""
        return self.horizon if self.head == "direct" else 1


@dataclass(frozen=True)
class Scaling:
    """Between the data's units and the model's, for B forecasts: y = out x spread + centre + base.

    centre, spread: float64 [B, targets]; base: float64 [B, horizon, targets]. A spread of 0 (a constant window): the
    forecast is the constant.
    """

    centre: Floats
    spread: Floats
    base: Floats

    @np.errstate(invalid="ignore")
    def invert(self, out: npt.NDArray[Any], quantiles: int) -> Floats:
        """Outputs [B, horizon x targets x quantiles] in the data's units: float64 [B, horizon, targets, quantiles]."""
        B, H, k = self.base.shape
        y = out.astype(np.float64).reshape(B, H, k, quantiles)
        return np.asarray(y * self.spread[:, None, :, None] + (self.centre[:, None] + self.base)[..., None])

    def select(self, i: int) -> Scaling:
        """That of forecast i alone."""
        return Scaling(self.centre[i : i + 1], self.spread[i : i + 1], self.base[i : i + 1])

    def apply(self, y: Floats) -> Rows:
        """Truth [B, horizon, targets] in the model's units, float32; NaN where a constant window has no unit."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(
                self.spread[:, None] > 0, (y - self.base - self.centre[:, None]) / self.spread[:, None], np.nan
            ).astype(np.float32)


class ColumnIndices(NamedTuple):
    """Columns: the targets, those scaled by their window, the targets among these, the others; and which steps before a
    window's end stand a season before those ahead.
    """

    target: slice | list[int]
    windowed: slice | list[int]
    windowed_targets: slice | list[int]
    others: list[int]
    season_steps: Indices


@dataclass(frozen=True)
class SeriesTransform:
    """From raw steps to rows, as a model file describes it.

    names: the series that `mean` and `deviation` [series, columns] are of, None where all series are treated alike. A
    mean alone stands for what was never seen (policy 'mask'); with deviations it scales. zone, frequency: of the times
    in training, see `frequency`; the zone is "" where they had none, and None where it is not known.
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
        """Numbers of a step after the missing ones are treated: values, what was missing, calendar."""
        return len(self.columns) * (2 if self.missing == "mask" else 1) + 2 * len(self.calendar)

    @cached_property
    def features(self) -> int:
        """Numbers of a row: what the first layer gets."""
        return self.width * (self.window.segment if self.window else 1)

    @cached_property
    def targets(self) -> int:
        return self.roles.count("target")

    def of(self, *roles: str) -> list[int]:
        """The columns that have one of these roles."""
        return [i for i, role in enumerate(self.roles) if role in roles]

    @property
    def fills(self) -> bool:
        """Whether a missing number becomes the one that was last seen."""
        return self.missing in ("ffill", "mask")

        # ---- from raw steps to steps without holes

    def impute(
        self, x: npt.NDArray[Any], times: Any, last: Floats | None = None, first: int = 0
    ) -> tuple[Floats, Indices, Floats]:
        """Steps [T, columns] with nothing missing any more.

        times: datetime64 [T], read only where the calendar is used. last: what was seen last of each column [columns],
        None at the start. first: the number of the first step, for messages. Returns the steps kept float64
        [T', width], their indices [T'], and what was then seen last. Raises DataError for infinity, and for NaN where
        the policy is 'error'.
        """
        values, holes = self.read_numbers(x, lambda t: f"step {first + t}")
        last = self.initial_fill if last is None else last
        if self.fills:
            values, last = forward_fill(values, holes, last)
        return *self.select_steps(values, holes, times), last

    def impute_batch(
        self, x: npt.NDArray[Any], times: Any, last: Floats, place: Callable[[int], str]
    ) -> tuple[Floats, Indices, Floats]:
        """`treated` for one step of each of n streams [n, columns], with what each saw last [n, columns]."""
        values, holes = self.read_numbers(x, place)
        if self.fills:
            values = last = values if holes is None else np.where(holes, last, values)
        return *self.select_steps(values, holes, times), last

    def read_numbers(self, x: npt.NDArray[Any], place: Callable[[int], str]) -> tuple[Floats, Flags | None]:
        """Steps as float64, and where they have holes, None if nowhere. Raises DataError for what cannot be used."""
        values = np.asarray(x, np.float64)
        usable = np.abs(values) <= LARGEST
        if usable.all():
            return values, None
        holes = np.isnan(values)
        self.refuse(x, ~usable & ~holes if self.missing != "error" else ~usable, place)
        return values, holes

    def select_steps(self, values: Floats, holes: Flags | None, times: Any) -> tuple[Floats, Indices]:
        """The steps that count float64 [T', width], with what was missing and the calendar, and their indices."""
        keep = np.arange(len(values))
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
        return self.fill_values()

    def fill_values(self, series: int = 0) -> Floats:
        """What stands for a column of which nothing has been seen: its mean in training, or NaN, float64 [columns]."""
        if self.missing == "mask" and self.mean is not None:
            return np.array(self.mean[series], np.float64)
        return np.full(len(self.columns), np.nan)

    def refuse(self, x: npt.NDArray[Any], bad: Flags, place: Callable[[int], str]) -> None:
        """Raises DataError at the first number that cannot be used."""
        if not bad.any():
            return
        t, c = np.argwhere(bad)[0]
        found, at = x[t, c], f"{place(int(t))}, {self.columns[c]!r}"
        if np.isnan(found):
            raise DataError(
                f"{at}: NaN, and this model was fitted with --missing error; fill it, or fit with --missing drop, "
                "ffill or mask"
            )
        what = (
            "is infinite" if np.isinf(found) else f"is {found}, beyond the largest number that is taken, {LARGEST:.3g}"
        )
        raise DataError(f"{at}: {what}; correct it, or leave it out as missing")

        # ---- fixed scaling

    def index(self, name: str | None) -> int:
        """The row of the statistics that a series has. Raises DataError for one that was not there in training."""
        if self.names is None:
            return 0
        if name not in self.series_rows:
            known = ", ".join(map(repr, self.names[:5])) + (" ..." if len(self.names) > 5 else "")
            found = "no series was named" if name is None else f"the series {name!r} was not there in training"
            raise DataError(
                f"{found}, and this model scales each by its own statistics; it knows {known}; fit with --scale window "
                "for series that are new"
            )
        return self.series_rows[name]

    @cached_property
    def series_rows(self) -> dict[str | None, int]:
        """The row of the statistics by the name of a series."""
        return {name: i for i, name in enumerate(self.names or ())}

    @np.errstate(over="ignore", invalid="ignore")
    def scale_fixed(self, steps: Floats, series: int | Indices) -> Rows:
        """Treated steps [T, width] scaled by the statistics of a series, or each of its own [T]: float32 [T, width]; as
        they are where the transform has no statistics.
        """
        rows = steps.astype(np.float32)
        if self.mean is not None and self.deviation is not None:
            C = len(self.columns)
            rows[:, :C] = (steps[:, :C] - self.mean[series]) / self.deviation[series]
        return rows

    def fixed_scaling(self, series: int | Indices, count: int = 1) -> Scaling:
        """The scaling of `count` forecasts of a series that is scaled by its statistics, or each of its own [count]."""
        assert self.forecast, "a model that forecasts"
        assert self.mean is not None
        assert self.deviation is not None
        centre, spread = (v[:, self.column_indices.target][series] for v in (self.mean, self.deviation))
        shape = (count, self.targets)
        base = np.zeros((count, self.forecast.chain_horizon, self.targets))
        return Scaling(np.broadcast_to(centre, shape), np.broadcast_to(spread, shape), base)

        # ---- windows

    @np.errstate(over="ignore", invalid="ignore")
    def windows(self, steps: Floats, ends: Indices, behind: Indices | None = None) -> tuple[Rows, Scaling]:
        """The windows that end with the treated steps `ends` [B].

        steps: float64 [T, width]. behind: how many steps there are up to each end, itself included [B]; None: a full
        window. Level and unit are taken off in float64. Returns rows float32 [B, length / segment, features], of
        windows that are not full `Window.rows` of them and then zeros, and the scaling of the forecasts.
        """
        w, at = self.window, self.column_indices
        assert w, "a transform with a window"
        behind = None if behind is None or (behind >= w.reach).all() else behind
        counts: Any = w.length if behind is None else w.count_steps(behind)[:, None]
        there: Any = None if behind is None else (np.arange(w.length) >= w.length - counts)[..., None]
        whole = zero_missing(take_latest(steps, ends, w.length, 0).astype(np.float64), there)
        moved = whole[..., at.windowed]
        if w.season:
            off = None if behind is None else there & w.has_season(behind)[:, None, None]
            moved = moved - zero_missing(take_latest(steps, ends, w.length, w.season)[..., at.windowed], off)
        centre, mean = moved[:, -1].copy(), None
        if w.centre == "mean" or w.spread == "window":
            # what is far from 0 is summed less a step of its own, as sums of it would lose digits
            mean = centre + sum_steps(zero_missing(moved - centre[:, None], there)) / counts
            centre = centre if w.centre == "last" else mean
        spread, divisor = self.compute_spreads(moved, mean, there, counts)
        whole[..., at.windowed] = (moved - centre[:, None]) / divisor[:, None]
        if at.others and self.mean is not None and self.deviation is not None:
            whole[..., at.others] = (whole[..., at.others] - self.mean[0][at.others]) / self.deviation[0][at.others]
        K = w.length // w.segment
        rows = zero_missing(whole, there).astype(np.float32).reshape(len(ends), K, self.features)
        if behind is not None:
            places = (np.arange(K) - w.rows(behind)[:, None]) % K  # zeros behind the rows instead of ahead of them
            rows = np.take_along_axis(rows, places[..., None], 1)
        return rows, Scaling(
            centre[:, at.windowed_targets], spread[:, at.windowed_targets], self.season_base(steps, ends, behind)
        )

    def compute_spreads(
        self, moved: Floats, mean: Floats | None, there: Flags | None, counts: Any
    ) -> tuple[Floats, Floats]:
        """What multiplies forecasts of windows [B, length, own columns], 0 where one is constant, and what divides.

        there, counts: which steps there are, and how many.
        """
        assert self.window
        if mean is None or self.window.spread == "training":
            assert self.deviation is not None
            spread = self.deviation[0:1, self.column_indices.windowed].repeat(len(moved), 0)
            return spread, spread
        spread = np.sqrt(sum_steps(zero_missing(moved - mean[:, None], there) ** 2) / counts)
        spread = np.where(spread > FLAT * np.abs(moved).max(1), spread, 0.0)
        return spread, np.where(spread > 0, spread, 1.0)

    def season_base(self, steps: Floats, ends: Indices, behind: Indices | None) -> Floats:
        """What is added to forecasts: the targets a season before each step ahead, float64 [B, horizon, targets]; 0
        where no season is taken off.
        """
        at = self.column_indices
        if not len(at.season_steps):
            return np.zeros((len(ends), self.forecast.chain_horizon if self.forecast else 0, self.targets))
        found = np.asarray(steps[np.maximum(ends[:, None] + at.season_steps, 0)][..., at.target])
        assert self.window
        return found if behind is None else np.where(self.window.has_season(behind)[:, None, None], found, 0.0)

    @cached_property
    def column_indices(self) -> ColumnIndices:
        """Where the columns of each role stand, worked out once."""
        own, season = self.of("target", "past"), self.window.season if self.window else 0
        ahead = np.arange(1, self.forecast.chain_horizon + 1 if self.forecast and season else 1)
        return ColumnIndices(
            as_slice(self.of("target")),
            as_slice(own),
            as_slice([own.index(i) for i in self.of("target")]),
            self.of("known", "static"),
            ahead - season * -(-ahead // max(1, season)),
        )

        # ---- the model file

    def to_json(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """The `input` section of a document, and its tensors."""
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
            "roles": list(self.roles),
            "calendar": list(self.calendar),
            "missing": self.missing,
            "scale": scale,
            "window": None if self.window is None else self.window.to_json(),
            "answer": None
            if self.forecast is None
            else {**vars(self.forecast), "quantiles": list(self.forecast.quantiles)},
            "features": self.features,
        }
        if self.zone is not None:
            rule = None if self.frequency is None else self.frequency.to_json()
            section["times"] = {"zone": self.zone or None, "frequency": rule}
        return section, tensors

    @classmethod
    def from_json(cls, section: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> SeriesTransform:
        """The transform of a valid `input` section and its tensors."""
        made = cls(
            tuple(section["columns"]),
            tuple(section["roles"]),
            tuple(section["calendar"]),
            section["missing"],
            window=None if section["window"] is None else Window(**section["window"]),
        )
        if (answer := section["answer"]) is not None:
            made = replace(made, forecast=ForecastSpec(answer["horizon"], tuple(answer["quantiles"]), answer["head"]))
        if (times := section.get("times")) is not None:
            rule = times["frequency"]
            made = replace(made, zone=times["zone"] or "", frequency=None if rule is None else Frequency(**rule))
        if (scale := section["scale"]) is None:
            return made
        names = None if scale["names"] is None else tuple(scale["names"])
        mean, deviation = (
            None if scale[role] is None else np.asarray(tensors[scale[role]], np.float64)
            for role in ("mean", "deviation")
        )
        return replace(made, names=names, mean=mean, deviation=deviation)


def ahead(values: Floats, known: list[int], horizon: int) -> Floats:
    """Values [T, columns] whose known columns are those of `horizon` steps later, NaN at the end.

    >>> ahead(np.array([[1.0, 5.0], [2.0, 6.0]]), [1], 1).tolist()
    [[1.0, 6.0], [2.0, nan]]
    """
    moved = values.copy()
    for c in known:
        moved[:, c] = np.concatenate([values[horizon:, c], np.full(min(horizon, len(values)), np.nan)])
    return moved

"""Forecast: what series of numbers will be, with quantiles, after every step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import cells
from ..data import lookalikes
from ..data.series import Collection
from ..document.limits import MAX_QUANTILES, MAX_WIDTH
from ..errors import DataError, OptionError
from ..features.series import CENTRES, SPREADS, ForecastSpec, SeriesTransform, Window
from ..features.window import FEWEST
from . import _effort, _series
from ._baselines import baselines, filled
from ._graph_builder import GraphBuilder, RecurrenceOptions, TrainingOptions
from ._graph_builder import init_weights as first_weights
from ._left_out import absent, named, omitted, padding, unfilled
from ._options import check, option
from ._overlap import set_apart
from ._problem import Problem
from ._quantiles import Quantiles
from ._seasons import likely_season
from ._windows import (
    TRAIN,
    VALID,
    ChannelIndependent,
    Segments,
    Track,
    Windows,
    about,
    check_parts,
    find_origins,
    lead_of,
    scaled,
    single,
    tracks,
)

if TYPE_CHECKING:
    import torch

KIND = "forecast"
STRETCH = 128  # origins of a row of steps that follow each other
SEGMENTS = 15  # of a window, where nothing else is said: few steps for the recurrence, each of many numbers


@dataclass(frozen=True)
class Options(TrainingOptions, RecurrenceOptions, _series.SeriesSource):
    """The options of a forecaster. None: decided from the data, and recorded as decided."""

    horizon: int | None = option(None, "how many steps ahead are forecast; must be given", least=1, most=10_000)
    targets: str | None = option(None, "columns to forecast, by comma; all that have no other role if not given")
    known: str = option("", "columns known ahead for the whole horizon, by comma; the last rows are the future")
    static: str = option("", "columns that never change within a series, by comma")
    channels: str | None = option(
        None,
        "targets each by themselves, as series of one model (apart), or all from all (together); apart if not "
        "given, but together where other columns are read",
        choices=("apart", "together"),
    )
    quantiles: str = option("0.1,0.5,0.9", "quantiles that are forecast, by comma; 0.5 must be there")
    head: str = option(
        "direct",
        "all steps ahead at once, or one after the other from the model's own forecasts",
        choices=("direct", "autoregressive"),
    )
    scale: str = option(
        "window",
        "scale by the latest steps (any series), or by each series' statistics in training (fixed)",
        choices=("window", "fixed"),
    )
    lookback: int | None = option(
        None,
        "steps that a forecast is made from (window), or that are read before one counts in training (fixed); by "
        "the data if not given",
        least=1,
        most=1_000_000,
    )
    segment: int | None = option(
        None, "steps that the recurrence reads at once (window); by the look-back if not given", least=1, most=100_000
    )
    season: int | None = option(
        None, "steps of a season, 0: none; a window takes it off; by the data if not given", least=0, most=1_000_000
    )
    centre: str = option("last", "what is taken off a window besides", choices=CENTRES)
    spread: str | None = option(
        None,
        "unit of a window: that of the training data, or its own; window's own for several series if not given",
        choices=SPREADS,
    )
    hidden: int | None = option(None, "width of the recurrence; by the data if not given", least=1, most=4096)
    drop_pool: float = option(0.3, "dropout before the last layer", least=0.0, most=0.95)
    windows_per_epoch: int = option(8192, "most windows that are learnt from in an epoch, drawn anew for each", least=1)
    hold_out: float | None = option(
        None,
        "share of each series, its end, held out to choose the best weights; 0.15 if not given, more where that "
        "is shorter than twice the horizon, at most 0.4",
        least=0.001,
        most=0.9,
    )
    refit_epochs: int | None = option(
        None,
        "passes at the end that learn from the held-out end too; if not given, a quarter more, none with --valid",
        least=0,
    )

    def __post_init__(self) -> None:
        check(self)
        cells.spoken(self.dialect)
        self.columns()
        self.levels()
        self.roles()
        self.periods()
        if self.scale == "fixed" and (self.segment, self.spread, self.centre) != (None, None, "last"):
            raise OptionError(
                "segment, spread and centre are for --scale window; with fixed every step is read as it comes, less "
                "the mean of its series, over its deviation; leave them out"
            )
        if self.missing == "drop" and self.known:
            raise OptionError(
                "known columns are read so many steps ahead, and --missing drop leaves steps out; choose ffill or mask"
            )
        if self.scale == "window" and self.lookback == 1:
            raise OptionError("lookback is 1, and a window of one step, less its centre, is always 0; choose 2 or more")
        if self.lookback and self.segment and self.lookback % self.segment:
            raise OptionError(f"lookback is {self.lookback}, no multiple of the segment {self.segment}; choose one")

    def levels(self) -> tuple[float, ...]:
        """The quantiles. Raises OptionError unless they are between 0 and 1, ascend, and 0.5 is one of them."""
        try:
            found = tuple(float(word) for word in _series.listed("quantiles", self.quantiles))
        except ValueError:
            found = ()
        if len(found) > MAX_QUANTILES:
            raise OptionError(f"quantiles has {len(found)} entries; at most {MAX_QUANTILES} are possible")
        if not found or any(not 0 < q < 1 for q in found) or list(found) != sorted(set(found)) or 0.5 not in found:
            raise OptionError(
                f"quantiles is {self.quantiles!r}; expected numbers between 0 and 1 that ascend, 0.5 among them, such "
                "as 0.1,0.5,0.9"
            )
        return found

    def roles(self) -> dict[str, str]:
        """The columns that the options name -> their role. Raises OptionError for one that is named twice."""
        found: dict[str, str] = {}
        for role, text in (("target", self.targets), ("known", self.known), ("static", self.static)):
            for name in _series.listed(role, text) if text else []:
                if name in found:
                    raise OptionError(f"column {name!r} is named as {found[name]} and as {role}; choose one")
                found[name] = role
        return found

        # ---- sources


def rows(source: Any, options: Options, columns: list[str] | None = None) -> Collection:
    """The series of a source as the model reads them: targets first, then past, known and static columns, and with
    channels apart one series for each target. columns: those of a model.

    Raises DataError.
    """
    if options.horizon is None:
        raise OptionError("horizon is missing; say how many steps ahead to forecast, such as --horizon 48")
    named = options.roles()
    values = options.columns()
    if values is not None:
        options = replace(options, values=",".join(dict.fromkeys([*values, *named])))
    found = _series.rows(source, options, None)
    if strange := [name for name in named if name not in found.columns]:
        shown = _series.counted(found.columns)
        how = lookalikes.hint(strange[:1], found.columns)
        raise DataError(f"{found.path}: no column {strange[0]!r} to be {named[strange[0]]}; there are {shown}{how}")
    if all(role_of(name, options) != "target" for name in found.columns):
        raise DataError(f"{found.path}: no column is left to forecast of {_series.counted(found.columns)}; name others")
    ordered = sorted(range(len(found.columns)), key=lambda c: ORDER.index(role_of(found.columns[c], options)))
    found = picked(found, ordered)
    if together(options, found.columns):
        made = found
    else:
        own = [c for c, name in enumerate(found.columns) if role_of(name, options) == "target"]
        made = single(found, own, [c for c in range(len(found.columns)) if c not in own])
    return made if columns is None else in_order(made, columns)


def in_order(source: Collection, columns: list[str]) -> Collection:
    """A source with the columns of a model, in its order. Raises DataError for others."""
    if sorted(columns) != sorted(source.columns):
        its = [*source.targets, *source.columns[1:]] if isinstance(source, ChannelIndependent) else source.columns
        raise DataError(
            f"{source.path}: has {_series.counted(its)}; the model was fitted on "
            f"{_series.counted(columns)}; give it those{lookalikes.hint(columns, its)}"
        )
    return picked(source, [source.columns.index(name) for name in columns])


ORDER = ("target", "past", "known", "static")


def role_of(name: str, options: Options) -> str:
    """The role of a column: as named; otherwise a target where none is named, else known up to now."""
    return options.roles().get(name, "past" if options.targets else "target")


def together(options: Options, columns: list[str]) -> bool:
    """Whether all targets are forecast from all columns."""
    if options.channels is not None:
        return options.channels == "together"
    roles = [role_of(name, options) for name in columns]
    return roles.count("target") == 1 or "past" in roles


def picked(source: Collection, columns: list[int]) -> Collection:
    """A source with these of its columns, in this order."""
    series = [replace(s, values=s.values[:, columns]) for s in source.series]
    return replace(source, columns=[source.columns[c] for c in columns], series=series)


def summary(source: Collection, options: Options) -> str:
    """What a source and its columns were taken for, in words."""
    roles = {name: role_of(name, options) for name in source.columns}
    if isinstance(source, ChannelIndependent):
        beside = {name: roles[name] for name in source.columns[1:]}
        roles = dict.fromkeys(source.targets, "targets, each a series of its own") | beside
    parts = [
        f"{role}: {_series.counted([name for name, other in roles.items() if other == role])}"
        for role in dict.fromkeys(roles.values())
    ]
    return f"{source.described()}; {_series.summary(source, options, '; '.join(parts))}"

    # ---- what is learnt from


def problem(options: Options, source: Collection, judged: Collection | None) -> Problem:
    """See `Problem`. judged: series that choose the weights, instead of the end of the source's. Raises DataError."""
    if judged is not None:
        judged = in_order(judged, source.columns)
        if options.refit_epochs is None:
            options = replace(options, refit_epochs=0)  # a file given to judge by is not learnt from unasked
    sources = [each for each in (source, judged) if each is not None]
    transform = bare(options, source)
    found, *others = (tracks(each, transform) for each in sources)
    more = others[0] if others else []
    share = options.hold_out or _effort.share_of_series(options, [len(t.steps) for t in found])
    cuts = [len(t.steps) - (0 if others else math.ceil(share * len(t.steps))) for t in found]
    options = resolved(replace(options, hold_out=share), source, found, cuts)
    learnt = one_step(replace(transform, window=window_of(options)))
    paths = [each.path for each in sources]
    places = find_origins(found, more, cuts, learnt)
    short = unfilled(places, len(found))
    if learnt.window and any(len(places.tracks[i].steps) >= FEWEST for i in short):
        learnt = replace(learnt, window=replace(learnt.window, least=FEWEST))
        places = find_origins(found, more, cuts, learnt)
    check_parts(places, cuts, learnt, paths)
    gaps = omitted(places, len(found))
    looks = lookalikes.warnings({s.id: len(s) for s in source.series}, "id", "step")
    places, notes = set_apart(places, cuts, learnt, sources)
    learnt, places = scaled(learnt, cuts, places, source)
    data = Windows(learnt, places) if learnt.window else Segments(learnt, places, STRETCH, options.lookback or 0)
    said = [summary(each, options) for each in sources]
    unlearnt, unjudged = (named(each, reasons) for each, reasons in zip((source, sources[-1]), gaps, strict=True))
    own = sum(i < len(found) for i in short)
    said[0] += padding(learnt, own) + absent(unlearnt, "learnt from", learnt, judged is None)
    said[-1] += padding(learnt, len(short) - own) + absent(unjudged, "judged by", learnt, judged is None)
    section, arrays = replace(learnt, forecast=transform.forecast).to_json()
    kept, held = (data.rows_of(part) for part in (TRAIN, VALID))
    counts = {name: int((places.part == part).sum()) for name, part in (("trained", TRAIN), ("held_out", VALID))}
    truth = data.judged(held)
    return Problem(
        options,
        data,
        kept,
        held,
        Quantiles(options.levels()),
        section,
        arrays,
        learnt.features,
        *chained(options, learnt),
        None,
        said,
        np.ones(1, np.float32),
        per_step=learnt.window is None,
        rows_per_epoch=options.windows_per_epoch if learnt.window else None,
        provenance={
            "rows": counts,
            "steps_ahead": lead_of(learnt),
            "fitted_on": about(found),
            "not_learnt_from": unlearnt,
            "not_judged_by": unjudged,
            "judging_nothing": int(np.isnan(truth).all((1, 2)).sum()),
            "baselines": baselines(options, learnt, places, truth, cuts),
        },
        notes=[[*looks, *notes]] if judged is None else [looks, notes],
    )


def bare(options: Options, source: Collection) -> SeriesTransform:
    """The transform of a source's columns as `rows` gives them, not scaled yet."""
    assert options.horizon, "checked by rows"
    roles = tuple(role_of(name, options) for name in source.columns)
    if isinstance(source, ChannelIndependent):
        roles = ("target", *roles[1:])
    answer, timing = ForecastSpec(options.horizon, options.levels(), options.head), _series.timing(source)
    return SeriesTransform(tuple(source.columns), roles, options.periods(), options.missing, forecast=answer, **timing)


def one_step(transform: SeriesTransform) -> SeriesTransform:
    """The transform whose answer is what the layers give: one step ahead where forecasts go on from forecasts."""
    assert transform.forecast
    return (
        replace(transform, forecast=replace(transform.forecast, horizon=1))
        if transform.forecast.head != "direct"
        else transform
    )


def window_of(options: Options) -> Window | None:
    if options.scale == "fixed":
        return None
    assert options.lookback
    assert options.segment
    return Window(options.lookback, options.segment, options.season or 0, options.centre, options.spread or "training")


def resolved(options: Options, source: Collection, found: list[Track], cuts: list[int]) -> Options:
    """The options with everything that depends on the data decided, from the part that is learnt from."""
    assert options.horizon
    H, season, lookback, segment = options.horizon, options.season, options.lookback, options.segment
    longest, fixed = max(cuts), options.scale == "fixed"
    if season is None:
        times = [None if s.times is None else s.times[:cut] for s, cut in zip(source.series, cuts, strict=True)]
        transform = bare(options, source)
        histories = [filled(t, transform)[:cut] for t, cut in zip(found, cuts, strict=True)]
        season = likely_season(histories, H, times, transform.frequency)
    if lookback is None:
        lookback = max(2, min(round(7.5 * H), sum(cuts) // 12, (longest - season) // 3))
        if options.scale == "window":
            segment = segment or max(1, lookback // SEGMENTS)
            lookback = max(segment, lookback - lookback % segment)
    elif options.scale == "window" and segment is None:
        segment = next(w for w in range(max(1, lookback // SEGMENTS), 0, -1) if lookback % w == 0)
    batch, epochs = _effort.of_windows(options, cuts, STRETCH)
    refit = max(1, round(epochs / 4)) if options.refit_epochs is None else options.refit_epochs
    options = replace(options, lookback=lookback, segment=segment, season=season, batch=batch, epochs=epochs)
    return replace(
        options,
        refit_epochs=refit,
        spread=options.spread or (None if fixed else "training" if len(found) == 1 else "window"),
        hidden=options.hidden or 128,
        channels="apart" if isinstance(source, ChannelIndependent) else "together",
        patience=options.patience or max(8, epochs // 2),
    )

    # ---- the model


def chained(options: Options, transform: SeriesTransform) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The layers of a forecaster, and their tapes as JSON."""
    cell, answer = options.recurrence(), transform.forecast
    assert answer
    assert options.hidden
    H, k, q = answer.horizon, transform.targets, len(answer.quantiles)
    if H * k * q > MAX_WIDTH:
        raise OptionError(
            f"a forecast of {H:,} steps, {k} targets and {q} quantiles has {H * k * q:,} numbers; at most "
            f"{MAX_WIDTH:,} are possible; shorten --horizon, or choose --channels apart"
        )
    chain = GraphBuilder(transform.features)
    chain.recurrent(cell, options.hidden, options.project, "causal", options.depth)
    if transform.window:
        chain.pool(["last"])
    chain.dense(H * k * q)
    return chain.layers, {cell.name: cell.tape.to_json()}


def init_weights(lesson: Problem, shapes: dict[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """First weights by tensor name, from the seed."""
    options: Options = lesson.options
    return first_weights(options.seed, options.recurrence(), lesson.layers, shapes)


def loss(options: Options, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The pinball loss of all quantiles together, a scalar, over what is known of the truth.

    Source: Koenker and Bassett 1978, Regression quantiles, eq. 1.1.
    """
    import torch

    levels = torch.tensor(options.levels(), dtype=outputs.dtype)
    y = targets.select(-3, 0)
    known = ~y.isnan()
    above = y.masked_fill(~known, 0.0)[..., None] - outputs.reshape(*y.shape, len(levels))
    lost = torch.maximum(levels * above, (levels - 1) * above).sum(-1)
    return (lost * known).sum() / known.sum().clamp(min=1)

"""What `score` measures of a detector: its alarms, and those of simple detectors for the same rate of false ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..data.series import Collection, Series
from ..errors import DataError, MissingExtra, error_context
from ..features.series import SeriesTransform
from ._alarm_metrics import Flags, Judged, find_runs, measure_alarms, measure_false_alarms
from ._detect_options import Options
from ._detect_rivals import FOREST, fit_forest, load_rivals, scale_values

Floats = npt.NDArray[np.float64]

NO_NORMAL: Final = "is not in the model file; give the rows of training with --normal to compare with it"
COMPARED: Final = "f1"


@dataclass(frozen=True)
class Result:
    """The figures of a detector on a file.

    figures: without labels, the numbers of steps and alarms and their rate; with labels, those of `measure_alarms`.
    baselines: the same figures of each simple detector, or why it has none. notes: sentences about the file. warning: a
    sentence if a simple detector is better, else "".
    """

    figures: dict[str, Any]
    labelled: bool
    baselines: dict[str, dict[str, Any] | str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warning: str = ""


def find_alarms(predictor: Any, source: Collection) -> list[Any]:
    """Return the answer about each series of a source, an `Alarm`. Raises DataError."""
    input = predictor.model.inputs["x"]
    known = input.transform.names
    if new := [i for i, s in enumerate(source.series) if known is not None and s.id not in known]:
        raise DataError(
            f"{source.locate(new[0], 0)}: the series {source.series[new[0]].id!r} was not in training, and a detector "
            f"compares each series with its own training; it knows {len(known)}, such as {known[0]!r}; leave the "
            "others out, or fit it on them too"
        )
    times = [s.times if s.local is None else s.local for s in source.series] if input.transform.calendar else None
    with error_context(source.path):
        found: list[Any] = predictor.answers(
            [s.values for s in source.series], times, [s.id for s in source.series] if input.names_series else None
        )
    return found


def find_steps(predictor: Any, source: Collection, i: int) -> npt.NDArray[np.int64]:
    """Return the steps of series i that the model reads: all but those that are dropped for a missing number."""
    series, transform = source.series[i], predictor.model.inputs["x"].transform
    times = series.times if series.local is None else series.local
    kept: npt.NDArray[np.int64] = transform.impute(series.values, times)[1]
    return kept


def judge_alarms(predictor: Any, source: Collection, truth: Sequence[Flags]) -> list[Judged]:
    """Run a detector over a source. truth: of each series which steps are anomalies. Raises DataError."""
    found = []
    for i, (series, one) in enumerate(zip(source.series, find_alarms(predictor, source), strict=True)):
        scores, alarms = np.full(len(series), np.nan), np.zeros(len(series), bool)
        if one.scores is not None:
            kept = find_steps(predictor, source, i)
            scores[kept], alarms[kept] = one.scores, one.alarms
        found.append(Judged(scores, alarms, truth[i], series.times, source.locate(i, 0)))
    return found


def score_detector(
    predictor: Any, options: Options, source: Collection, truth: list[Flags] | None, normal: Collection | None
) -> Result:
    """Measure the alarms of a detector on a source. truth: of each series which steps are anomalies; None: unknown.

    normal: normal rows that simple detectors are fitted to. Raises DataError.
    """
    labels = truth or [np.zeros(len(series), bool) for series in source.series]
    judged = judge_alarms(predictor, source, labels)
    if truth is None:
        return Result(count_alarms(judged), False)
    figures = measure_alarms(judged)
    baselines = judge_rivals(predictor, options, source, labels, normal)
    notes = describe_starts(source, labels, options.warmup or 0)
    return Result(figures, True, baselines, notes, warn_of(figures, baselines))


def count_alarms(judged: Sequence[Judged]) -> dict[str, Any]:
    """Count the steps and the alarms of series without labels, and the rate of alarms."""
    rates = {name.removeprefix("false_"): rate for name, rate in measure_false_alarms(judged).items()}
    return {
        "steps": sum(len(one.scores) for one in judged),
        "steps_without_score": sum(int(np.isnan(one.scores).sum()) for one in judged),
        "alarms": sum(len(find_runs(one.alarms)) for one in judged),
        "steps_in_alarm": sum(int(one.alarms.sum()) for one in judged),
        **rates,
    }


def describe_starts(source: Collection, truth: Sequence[Flags], warmup: int) -> list[str]:
    """Say which series begin in an anomaly, which a detector takes for what is normal in its warm-up."""
    early = [i for i, one in enumerate(truth) if one[:warmup].any()]
    if not early:
        return []
    more = f", and {len(early) - 1:,} more series do" if len(early) > 1 else ""
    return [
        f"{source.locate(early[0], int(truth[early[0]].argmax()))}: an anomaly begins in the first {warmup} steps of "
        f"its series, which have no score{more}; these steps count as missed"
    ]


# ---- simple detectors


def judge_rivals(
    predictor: Any, options: Options, source: Collection, truth: Sequence[Flags], normal: Collection | None
) -> dict[str, dict[str, Any] | str]:
    """Measure the simple detectors in the model file, and an isolation forest where there are normal rows to fit it to.

    Raises DataError.
    """
    model, share = predictor.model, 1 / options.mean_over
    transform, provenance = model.inputs["x"].transform, model.document["provenance"]
    rivals = load_rivals(provenance, model.tensors)
    found: dict[str, dict[str, Any] | str] = {**provenance.get("impossible", {})}
    if normal is None:
        found[FOREST] = NO_NORMAL
    else:
        cuts = [round(len(s) * (1 - (options.hold_out or 0.0))) for s in normal.series]
        scaled = [scale_series(transform, s) for s in normal.series]
        parts = [values[:cut] for values, cut in zip(scaled, cuts, strict=True)]
        rate = provenance["threshold"]["alarms_per_step"]
        try:
            rivals[FOREST] = fit_forest(parts, list(zip(scaled, cuts, strict=True)), rate, share)
        except (DataError, MissingExtra) as error:
            found[FOREST] = str(error)
    for name, rival in rivals.items():
        answers = [rival.score(scale_series(transform, s), share) for s in source.series]
        judged = [
            Judged(scores, alarms, true, s.times, s.id)
            for (scores, alarms), true, s in zip(answers, truth, source.series, strict=True)
        ]
        found[name] = measure_alarms(judged)
    return found


def scale_series(transform: SeriesTransform, series: Series) -> Floats:
    """Return the values of a series in the model's units. Raises DataError for one that was not in training."""
    return scale_values(transform, series.values, transform.find_series(series.id if transform.names else None))


def warn_of(figures: dict[str, Any], baselines: dict[str, dict[str, Any] | str]) -> str:
    """Say if a simple detector has a higher F1 than the model, or "".

    >>> warn_of({"f1": 0.5}, {"T2 of levels": {"f1": 0.75}, "other": "not possible: too short"})
    'T2 of levels has an F1 of 0.750 and the model one of 0.500: on this file the simple detector is better'
    """
    rivals = {name: of[COMPARED] for name, of in baselines.items() if isinstance(of, dict) and of[COMPARED] is not None}
    best = max(rivals, key=rivals.__getitem__, default="")
    own = figures[COMPARED]
    if not best or own is None or rivals[best] <= own:
        return ""
    return (
        f"{best} has an F1 of {rivals[best]:.3f} and the model one of {own:.3f}: on this file the simple detector is "
        "better"
    )

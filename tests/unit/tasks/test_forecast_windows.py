"""Rows of a forecaster: computed one by one in float64, equal to those of a stream, and blind to later steps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from padded import pad_batch
from tidegate.data.series import Collection, from_arrays
from tidegate.errors import DataError
from tidegate.features.memory import init, update
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.tasks._channels import split_channels
from tidegate.tasks._fingerprints import digest, track_fingerprints
from tidegate.tasks._windows import (
    GAP,
    TRAIN,
    VALID,
    Origins,
    Segments,
    Windows,
    find_origins,
    fit_scaling,
    make_tracks,
    shift_known,
)
from tidegate.tasks.base import Problem
from tidegate.tasks.forecast import Options, prepare, read
from transforms import read_transform

RANDOM = np.random.default_rng(3)
COLUMNS = ("y", "z", "k", "s")
ROLES = ("target", "past", "known", "static")


def walks(*lengths: int) -> Collection:
    """Make series of four columns: a walk, noise, days off, and a constant per series."""
    arrays = [
        np.stack(
            [RANDOM.standard_normal(n).cumsum(), RANDOM.standard_normal(n), np.arange(n) % 4 == 0, np.full(n, i)], 1
        )
        for i, n in enumerate(lengths)
    ]
    return from_arrays(arrays, columns=list(COLUMNS), ids=[f"walk {i}" for i in range(len(lengths))])


def make_windows(source: Collection, horizon: int = 3, missing: str = "error", **window: Any) -> Windows:
    """Make all windows of a source, with the last fifth of each series held out."""
    transform = SeriesTransform(
        tuple(source.columns),
        ROLES[: len(source.columns)],
        (),
        missing,
        window=Window(**window),
        forecast=ForecastSpec(horizon, (0.5,)),
    )
    found = make_tracks(source, transform)
    cuts = [len(t.steps) - len(t.steps) // 5 for t in found]
    made, places = fit_scaling(transform, cuts, find_origins(found, [], cuts, transform), source)
    return Windows(made, places)


SHAPES = [
    {"length": 6, "segment": 2},
    {"length": 6, "segment": 3, "season": 4, "centre": "mean"},
    {"length": 5, "spread": "window"},
    {"length": 4, "season": 2, "centre": "mean", "spread": "window"},
]


@pytest.mark.parametrize("window", SHAPES, ids=str)
def test_windows_are_those_worked_out_one_by_one(window: dict[str, Any]) -> None:
    source = walks(60, 41, 9)
    data, H = make_windows(source, **window), 3
    L, w, s = window["length"], window.get("segment", 1), window.get("season", 0)
    row, seen = 0, []
    for i, series in enumerate(source.series):
        values = series.values.astype(np.float32).astype(np.float64)
        T, cut = len(values) - H, math.ceil((len(values) - H) * 0.8)
        for t in range(L + s - 1, len(values) - H):
            x = values[t - L + 1 : t + 1].copy()
            x[:, 2] = values[t - L + 1 + H : t + 1 + H, 2]
            own = x[:, :2] - (values[t - s - L + 1 : t - s + 1, :2] if s else 0)
            centre = own.mean(0) if window.get("centre") == "mean" else own[-1]
            spread = own.std(0) if window.get("spread") == "window" else data.transform.deviation[0, :2]  # type: ignore[index]
            x[:, :2] = (own - centre) / spread
            x[:, 2:] = (x[:, 2:] - data.transform.mean[0, 2:]) / data.transform.deviation[0, 2:]  # type: ignore[index]
            got, length, targets = pad_batch(data, np.array([row]))
            assert np.allclose(got[:, 0], x.reshape(L // w, -1), rtol=1e-5, atol=1e-6)
            base = [values[t + h - s * math.ceil(h / s), 0] if s else 0.0 for h in range(1, H + 1)]
            truth = (series.values[t + 1 : t + 1 + H, 0] - base - centre[0]) / spread[0]
            assert np.allclose(targets[0, 0, :, 0], truth, rtol=1e-5, atol=1e-5)
            assert np.allclose(targets[0, 1], spread[0], rtol=1e-6)
            assert length.tolist() == [L // w]
            seen.append(TRAIN if t + H < cut else VALID if t + 1 >= cut else GAP)
            row += 1
        assert T >= 0
        assert i < 3
    assert data.part.tolist() == seen
    assert row == len(data.lengths)


@pytest.mark.parametrize("window", SHAPES, ids=str)
def test_windows_are_a_streams_to_the_bit(window: dict[str, Any]) -> None:
    source = walks(40, 33)
    data, row = make_windows(source, **window), 0
    for series in source.series:
        memory, x = init(data.transform, 0), shift_known(series.values, data.transform)
        for t, step in enumerate(x):
            _, memory = update(data.transform, memory, step[None], None)
            assert memory.ring is not None
            if t + 1 < data.transform.window.reach or t + 3 >= len(series):  # type: ignore[union-attr]
                continue
            streamed, frame = data.transform.make_windows(memory.ring, np.array([len(memory.ring) - 1]))
            learnt, own, _ = data.read_windows(np.array([row]))
            assert streamed.tobytes() == learnt.tobytes()
            assert (frame.base == own.base).all()
            assert (frame.centre == own.centre).all()
            row += 1
    many = pad_batch(data, np.arange(row))[0]
    assert many.swapaxes(0, 1).tobytes() == data.read_windows(np.arange(row))[0].tobytes()
    assert row == len(data.lengths)


def test_what_comes_later_changes_no_earlier_row_and_no_statistic() -> None:
    source = walks(80, 30)
    changed = source.series[0].values.copy()
    cut = 77 - 77 // 5
    changed[cut + 3 :, :] *= -9.0  # known columns of the last training step are read three steps ahead
    changed[:, 3] = 0
    later = replace(source, series=[replace(source.series[0], values=changed), source.series[1]])
    one, other = (make_windows(s, length=6, season=2) for s in (source, later))
    assert one.transform.deviation.tobytes() == other.transform.deviation.tobytes()  # type: ignore[union-attr]
    assert one.transform.mean.tobytes() == other.transform.mean.tobytes()  # type: ignore[union-attr]
    kept = one.rows_of(TRAIN)
    for before, now in zip(pad_batch(one, kept), pad_batch(other, kept), strict=True):
        assert before.tobytes() == now.tobytes()
    held = one.rows_of(VALID)
    assert pad_batch(one, held)[2].tobytes() != pad_batch(other, held)[2].tobytes()


def test_no_learnt_truth_is_held_out_or_read_while_judging() -> None:
    data = make_windows(walks(80, 50), length=6)
    for i, steps in enumerate((77, 47)):
        cut, of = steps - steps // 5, data.series == i
        ends, part = (data.ends - data.first)[of], data.part[of]
        assert (ends[part == TRAIN] + 3).max() == cut - 1
        assert (ends[part == VALID] + 1).min() == cut
        assert ends[part == GAP].tolist() == [cut - 3, cut - 2]


# ---- missing numbers


def problem_with_gaps(missing: str, values: np.ndarray[Any, Any], **more: Any) -> Problem:
    source = from_arrays([values[:, None]], columns=["y"])
    options = Options(horizon=2, missing=missing, lookback=4, segment=1, season=0, hidden=2, **more)
    return prepare(read(source, options), None, options)


def test_a_mask_begins_with_the_mean_of_training_as_a_stream_does() -> None:
    y = 50 + RANDOM.standard_normal(60)
    y[[0, 1, 30, 59]] = np.nan
    made = problem_with_gaps("mask", y)
    transform = read_transform(made)
    learnt = y[: 60 - math.ceil(0.15 * 60)]
    assert transform.mean is not None
    assert transform.mean[0, 0] == pytest.approx(np.nanmean(learnt), rel=1e-15)
    x, _, targets = pad_batch(made.rows, np.arange(len(made.rows.lengths)))
    assert np.isfinite(x).all()
    memory = init(transform, 0)
    for t in range(58):
        _, memory = update(transform, memory, y[t : t + 1, None], None)
        assert memory.ring is not None
        if t >= 3:
            streamed = transform.make_windows(memory.ring, np.array([len(memory.ring) - 1]))[0]
            assert streamed[0].tobytes() == np.ascontiguousarray(x[:, t - 3]).tobytes()
    unknown = np.isnan(targets[:, 0, :, 0])
    assert unknown.tolist() == [[bool(np.isnan(y[t + h])) for h in (1, 2)] for t in range(3, 58)]


def test_a_mask_of_fixed_scaling_has_a_mean_for_each_series() -> None:
    source = from_arrays([np.r_[np.nan, np.arange(40.0)], np.r_[np.nan, 100 + np.arange(40.0)]], ids=["a", "b"])
    options = Options(horizon=2, missing="mask", scale="fixed", hidden=2)
    made = prepare(read(source, options), None, options)
    transform = read_transform(made)
    assert transform.names == ("a", "b")
    x, _lengths, _ = pad_batch(made.rows, np.arange(len(made.rows.lengths)))
    first = x[0, [0, int(np.argmax(np.diff(made.rows.series) > 0)) + 1]]  # type: ignore[attr-defined]
    assert first.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert np.isfinite(x).all()


@pytest.mark.parametrize("missing", ["drop", "ffill"])
def test_dropped_and_filled_steps(missing: str) -> None:
    y = np.arange(60.0) ** 1.5
    y[[0, 20, 21]] = np.nan
    made = problem_with_gaps(missing, y)
    assert isinstance(made.rows, Windows)
    kept = y[~np.isnan(y)]
    if missing == "drop":
        assert made.rows.steps[:, 0].tolist() == kept.tolist()
        assert np.isfinite(made.rows.truth).all()
    else:
        assert made.rows.steps[18:22, 0].tolist() == [y[19], y[19], y[19], y[22]]
        assert np.isnan(made.rows.truth).sum() == 2


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.r_[np.ones(9), np.nan, np.ones(50)], {}, "step 10: no number in column 'y'; fill it"),
        (np.full(60, np.nan), {"missing": "ffill"}, "has missing numbers at every step; give more steps"),
        (np.full(60, np.nan), {"missing": "mask"}, "to train on: all targets are missing there"),
        (
            np.r_[np.arange(50.0), np.full(20, np.nan)],
            {"missing": "mask"},
            "to evaluate on: all targets are missing there",
        ),
        (np.r_[np.full(40, np.nan), np.arange(3.0)], {"missing": "mask"}, "to train on: all targets are missing there"),
        (np.arange(8.0), {}, r"look-back .* take 6 steps, and the longest series has 4; shorten"),
        (np.ones(60), {}, "'y' never changes, or is the same every season"),
        (np.ones(60), {"spread": "window"}, "every window of the held-out end is constant"),
        (np.ones(60), {"scale": "fixed", "segment": None}, "'y' is 1 at every step"),
        (1e300 * np.arange(1.0, 60.0), {}, "the largest number allowed is"),
    ],
)
def test_what_cannot_be_learnt_from(values: Any, options: dict[str, Any], message: str) -> None:
    given = Options(**{"horizon": 2, "lookback": 4, "segment": 1, "season": 0, "hidden": 2, **options})
    source = from_arrays([values[:, None]], columns=["y"])
    with pytest.raises(DataError, match=message):
        prepare(read(source, given), None, given)


def test_a_truth_far_off_its_window_is_refused_in_words() -> None:
    y = np.where(np.arange(60) % 20 == 19, 1e35, 1.0 + 1e-4 * np.sin(np.arange(60)))
    made = problem_with_gaps("error", y, spread="window")
    with pytest.raises(DataError, match=r"after step 1\d of series 1 comes 1e\+35, and its window varies by"):
        pad_batch(made.rows, made.train_rows)


def test_numbers_near_the_ends_of_float32_are_learnt_from() -> None:
    y = RANDOM.standard_normal(60)
    plain = pad_batch(problem_with_gaps("error", y).rows, np.arange(20))
    for unit in (2.0**100, 2.0**-100):
        scaled_by = pad_batch(problem_with_gaps("error", y * unit).rows, np.arange(20))
        assert np.allclose(scaled_by[0], plain[0], rtol=1e-5)
        assert np.allclose(scaled_by[2][:, 0], plain[2][:, 0], rtol=1e-5, atol=1e-6)


def test_a_static_column_may_not_change() -> None:
    source = walks(30, 30)
    source.series[1].values[4, 3] = 7
    with pytest.raises(DataError, match="series 2, step 5: column 's' is static, but changes from 1 to 7"):
        make_windows(source, length=4)


# ---- segments


def test_stretches_count_each_origin_once_and_read_what_a_stream_has_read() -> None:
    source = from_arrays([RANDOM.standard_normal((70, 1)) * 9, RANDOM.standard_normal((25, 1)) + 4], ids=["a", "b"])
    transform = SeriesTransform(("c1",), ("target",), forecast=ForecastSpec(2, (0.5,)))
    found = make_tracks(source, transform)
    cuts = [60, 20]
    made, places = fit_scaling(transform, cuts, find_origins(found, [], cuts, transform), source)
    data = Segments(made, places, length=8, warmup=5)
    x, lengths, targets = pad_batch(data, np.arange(len(data.lengths)))
    counted: list[tuple[int, int]] = []
    for b in range(len(lengths)):
        i = int(data.series[b])
        values = source.series[i].values[:, 0].astype(np.float32).astype(np.float64)
        mean, deviation = values[: cuts[i]].mean(), values[: cuts[i]].std()
        rows_of = slice(int(data.begin[b]), int(data.end[b]))
        assert np.allclose(x[: lengths[b], b, 0], (values[rows_of] - mean) / deviation, rtol=1e-5, atol=1e-6)
        for k in range(int(lengths[b])):
            t = int(data.begin[b]) + k
            if t < data.first[b]:
                assert np.isnan(targets[k, b]).all()
                continue
            counted.append((i, t))
            assert np.allclose(targets[k, b, 0, :, 0], (values[t + 1 : t + 3] - mean) / deviation, rtol=1e-4, atol=1e-5)
            assert data.part[b] == (TRAIN if t + 2 < cuts[i] else VALID if t + 1 >= cuts[i] else GAP)
        assert np.isnan(targets[int(lengths[b]) :, b]).all()
        assert int(data.first[b] - data.begin[b]) == min(5, int(data.first[b]))
    assert sorted(counted) == [(0, t) for t in range(68)] + [(1, t) for t in range(23)]
    held = data.rows_of(VALID)
    assert data.read_truth(held).shape == (68 - 59 + 23 - 19, 2, 1)
    assert data.read_truth(held)[0, :, 0].tolist() == source.series[0].values[60:62, 0].tolist()


# ---- channels, origins and digests


def test_targets_apart_keep_what_is_beside_them() -> None:
    source = walks(20, 20)
    made = split_channels(source, [0, 1], [2, 3])
    assert made.columns == ["value", "k", "s"]
    assert made.targets == ("y", "z")
    assert [s.id for s in made.series] == ["walk 0/y", "walk 0/z", "walk 1/y", "walk 1/z"]
    assert (made.series[1].values == source.series[0].values[:, [1, 2, 3]]).all()
    named = replace(source, columns=["a", "b", "value", "value 2"])
    assert split_channels(named, [0, 1], [2, 3]).columns == ["value 3", "value", "value 2"]


def test_places_find_the_origins_of_a_track() -> None:
    places = Origins([], np.array([0, 0, 2, 2]), np.array([5, 6, 5, 7]), np.array([TRAIN, VALID, VALID, VALID]))
    assert [places.ends_of(i, VALID).tolist() for i in range(3)] == [[6], [], [5, 7]]


def test_what_was_learnt_from_ends_with_the_last_known_truth() -> None:
    source = walks(20)
    source.series[0].values[18:, 0] = np.nan
    transform = SeriesTransform(COLUMNS, ROLES, (), "ffill", forecast=ForecastSpec(3, (0.5,)))
    (track,) = make_tracks(source, transform)
    assert len(track.kept) == 17
    assert track_fingerprints([track]) == [
        {"id": "walk 0", "steps": 18, "digest": digest(source.series[0].values[:18, :1])}
    ]
    (whole,) = make_tracks(walks(20), transform)
    assert track_fingerprints([whole])[0]["steps"] == 20
    negative = np.array([[1.0], [np.copysign(np.nan, -1.0)]])
    assert digest(negative) == digest(np.abs(negative))


# ---- far from zero


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spread": "window", "centre": "mean"},
        {"season": 4, "missing": "ffill"},
        {"missing": "drop"},
        {"missing": "mask"},
        {"scale": "fixed", "segment": None},
        {"head": "autoregressive"},
    ],
    ids=str,
)
def test_an_offset_changes_nothing_that_is_learnt_from(options: dict[str, Any]) -> None:
    """With eighths and a power of two every sum is exact, so the rows are equal to the bit."""
    y = np.random.default_rng(5).integers(-40, 40, 256) / 8
    if "missing" in options:
        y[[5, 6, 40]] = np.nan
    made = []
    for offset in (0.0, float(1 << 30)):
        values = {"horizon": 2, "lookback": 8, "segment": 1, "season": 0, "hidden": 2, **options}
        source = from_arrays([(y + offset)[:, None]], columns=["y"])
        made.append(prepare(read(source, Options(**values)), None, Options(**values)))
    near, far = made
    for before, now in zip(pad_batch(near.rows, near.train_rows), pad_batch(far.rows, far.train_rows), strict=True):
        if options.get("missing") == "mask" or options.get("scale") == "fixed":  # a mean of these has no exact sum
            np.testing.assert_allclose(now, before, rtol=1e-5, atol=1e-6)
        else:
            assert now.tobytes() == before.tobytes()
    assert {k: v for k, v in far.provenance["baselines"].items() if isinstance(v, float)} == pytest.approx(
        {k: v for k, v in near.provenance["baselines"].items() if isinstance(v, float)}, rel=1e-6
    )


def test_static_and_known_columns_beyond_float32s_integers_are_learnt_from() -> None:
    sites = []
    for i in range(3):
        t = np.arange(40)
        sites.append(np.stack([t % 5 + i, 1.7e9 + 60.0 * t, np.full(40, (1 << 24) + 1.0 + i)], 1))
    source = from_arrays(sites, columns=["y", "epoch", "site"], ids=list("abc"))
    options = Options(horizon=2, targets="y", known="epoch", static="site", lookback=4, segment=1, season=0, hidden=2)
    made = prepare(read(source, options), None, options)
    x = pad_batch(made.rows, made.train_rows)[0]
    assert len(np.unique(x[0, :, 2])) == 3
    assert len(np.unique(x[..., 1])) == 30
    changing = from_arrays([np.array([[t, 2e7 + (t > 5)] for t in range(30)])], columns=["y", "site"])
    options = Options(horizon=2, targets="y", static="site")
    with pytest.raises(DataError, match="column 'site' is static, but changes from 20000000 to 20000001 within"):
        prepare(read(changing, options), None, options)

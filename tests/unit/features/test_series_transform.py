from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tidegate.errors import DataError, ModelFileError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window, shift_columns
from tidegate.inputs import parse

NAN = np.nan
TWO = SeriesTransform(("load", "sun"), ("target", "past"))
HOURLY = np.datetime64("2026-01-05T00:00", "us") + np.timedelta64(6, "h") * np.arange(9)


def test_missing_numbers_by_every_policy() -> None:
    x = np.array([[NAN, 1], [2, NAN], [NAN, NAN], [5, 6]])
    mean = np.array([[10.0, 20.0]])
    found = {
        policy: replace(TWO, missing=policy, mean=mean).impute(x, None)[:2] for policy in ("drop", "ffill", "mask")
    }
    assert found["drop"][0].tolist() == [[5, 6]]
    assert found["drop"][1].tolist() == [3]
    assert found["ffill"][0].tolist() == [[2, 1], [2, 1], [5, 6]]
    assert found["ffill"][1].tolist() == [1, 2, 3]
    assert found["mask"][0].tolist() == [[10, 1, 1, 0], [2, 1, 0, 1], [2, 1, 1, 1], [5, 6, 0, 0]]
    with pytest.raises(DataError, match="step 4, 'load': NaN, and this model was fitted with --missing error; fill it"):
        TWO.impute(x, None, first=4)


@pytest.mark.parametrize("missing", ["error", "drop", "ffill", "mask"])
def test_infinity_is_never_missing(missing: str) -> None:
    transform = replace(TWO, missing=missing, mean=np.zeros((1, 2)))
    with pytest.raises(DataError, match="step 1, 'sun': is infinite; correct it"):
        transform.impute(np.array([[1, 2], [3, np.inf]]), None)
    with pytest.raises(DataError, match="step 0, 'load': is 1e\\+39; the largest number allowed is 3.4e\\+38"):
        transform.impute(np.array([[1e39, 2]]), None)


@pytest.mark.parametrize("missing", ["drop", "ffill", "mask"])
def test_steps_in_pieces_are_steps_at_once(missing: str) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((40, 2))
    x[random.random(x.shape) < 0.4] = NAN
    transform = replace(TWO, missing=missing, mean=np.ones((1, 2)))
    whole, keep, end = transform.impute(x, None)
    last, parts, kept = None, [], []
    for at in range(0, 40, 7):
        steps, some, last = transform.impute(x[at : at + 7], None, last, at)
        parts.append(steps)
        kept.append(some + at)
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert np.concatenate(kept).tolist() == keep.tolist()
    assert last is not None
    assert last.tobytes() == end.tobytes()


@pytest.mark.parametrize("missing", ["error", "drop", "ffill", "mask"])
def test_steps_of_many_streams_are_those_of_each(missing: str) -> None:
    random = np.random.default_rng(1)
    x, last = random.standard_normal((9, 2)), random.standard_normal((9, 2))
    if missing != "error":
        x[random.random(x.shape) < 0.5] = NAN
    transform = replace(TWO, missing=missing, calendar=("day",))
    steps, keep, after = transform.impute_batch(x, HOURLY, last, str)
    for i in range(9):
        alone, kept, end = transform.impute(x[i : i + 1], HOURLY[i : i + 1], last[i])
        assert alone.tobytes() == steps[keep == i].tobytes()
        assert len(kept) == (i in keep)
        assert not transform.fills or end.tobytes() == after[i].tobytes()


def test_a_window_is_scaled_by_hand() -> None:
    transform = replace(
        TWO,
        roles=("target", "known"),
        mean=np.array([[0.0, 1.0]]),
        deviation=np.array([[2.0, 4.0]]),
        window=Window(4, segment=2, season=3),
        forecast=ForecastSpec(4, (0.5,)),
    )
    steps = np.column_stack([np.arange(8.0) ** 2, np.arange(8.0)]).astype(np.float32)
    rows, frame = transform.make_windows(steps, np.array([6, 7]))
    moved = np.array([t**2 - (t - 3) ** 2 for t in range(4, 8)], float)
    expected = np.column_stack([(moved - moved[-1]) / 2, (np.arange(4, 8) - 1) / 4]).reshape(2, 4)
    np.testing.assert_array_equal(rows[1], expected.astype(np.float32))
    assert frame.base[1, :, 0].tolist() == [25, 36, 49, 25]
    assert frame.centre[1].tolist() == [moved[-1]]
    restored = frame.invert(np.ones((2, 4)), 1)
    np.testing.assert_array_equal(restored[1, :, 0, 0], frame.base[1, :, 0] + moved[-1] + 2)
    np.testing.assert_array_equal(frame.apply(restored[..., 0]), np.ones((2, 4, 1)))


def test_a_window_by_its_own_mean_and_deviation_and_a_constant_one() -> None:
    transform = replace(
        TWO, roles=("target", "target"), window=Window(4, 1, 0, "mean", "window"), forecast=ForecastSpec(1, (0.5,))
    )
    steps = np.column_stack([[1, 2, 3, 4], [7, 7, 7, 7]]).astype(np.float32)
    rows, frame = transform.make_windows(steps, np.array([3]))
    np.testing.assert_allclose(rows[0, :, 0], (np.arange(1, 5) - 2.5) / np.sqrt(1.25), rtol=1e-7)
    assert rows[0, :, 1].tolist() == [0, 0, 0, 0]
    assert frame.spread[0].tolist() == [np.sqrt(1.25), 0]
    assert frame.invert(np.array([[3.0, 3.0]]), 1)[0, 0, 1, 0] == 7
    assert np.isnan(frame.apply(np.array([[[3.0, 8.0]]]))[0, 0, 1])


def test_windows_of_many_are_those_of_each() -> None:
    transform = replace(TWO, window=Window(6, 3, 5, "mean", "window"), forecast=ForecastSpec(7, (0.1, 0.9)))
    steps = np.random.default_rng(2).standard_normal((60, 2)).astype(np.float32)
    ends = np.arange(10, 60, 7)
    rows, frame = transform.make_windows(steps, ends)
    for i, end in enumerate(ends):
        alone, own = transform.make_windows(steps[end - 10 : end + 1], np.array([10]))
        assert alone[0].tobytes() == rows[i].tobytes()
        for name in ("centre", "spread", "base"):
            assert getattr(own, name)[0].tobytes() == getattr(frame.select(i), name)[0].tobytes()


def test_the_transform_goes_through_a_file() -> None:
    mean = np.array([[1.5, 2.5], [3.5, 4.5]])
    for transform in (
        TWO,
        replace(TWO, missing="mask", mean=mean[:1]),
        replace(
            TWO, names=("a", "b"), mean=mean, deviation=mean, forecast=ForecastSpec(3, (0.1, 0.5), "autoregressive")
        ),
        replace(TWO, calendar=("year",), window=Window(6, 2, 1, "mean", "window")),
    ):
        section, tensors = transform.to_json()
        again = SeriesTransform.from_json(section, tensors)
        assert again.to_json()[0] == section
        assert (section["roles"], again.forecast) == (["past", "past"], None)  # what is forecast is the output's
        assert section["features"] == transform.features
        assert {name: v.tolist() for name, v in again.to_json()[1].items()} == {
            n: v.tolist() for n, v in tensors.items()
        }


def test_a_series_that_was_not_there_in_training_is_refused() -> None:
    transform = replace(TWO, names=tuple("abcdefg"))
    assert transform.find_series("c") == 2
    with pytest.raises(DataError, match="the series 'z' was not in training, .* it knows 'a', .*'e' ...; fit with"):
        transform.find_series("z")
    with pytest.raises(DataError, match="no series was named"):
        transform.find_series(None)
    assert TWO.find_series("anything") == 0


def test_an_autoregressive_head_goes_one_step() -> None:
    answer = ForecastSpec(24, (0.5,), "autoregressive")
    assert (answer.output_horizon, replace(answer, head="direct").output_horizon) == (1, 24)
    transform = replace(
        TWO, window=Window(4, season=2), forecast=answer, deviation=np.ones((1, 2)), mean=np.ones((1, 2))
    )
    assert transform.make_windows(np.ones((6, 2), np.float32), np.array([5]))[1].base.shape == (1, 1, 1)
    assert replace(transform, window=None).fixed_scaling(0, 3).base.shape == (3, 1, 1)


def test_known_columns_come_ahead() -> None:
    values = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(shift_columns(values, [1], 2)[:, 1], [5, 7, NAN, NAN])
    np.testing.assert_array_equal(shift_columns(values, [1], 9)[:, 1], [NAN] * 4)


FAR = float(1 << 30)  # there float64 is exact to 1/64; float32 only has every 64th integer
EIGHTHS = np.random.default_rng(3).integers(-40, 40, (64, 2)) / 8


@pytest.mark.parametrize("season", [0, 4])
@pytest.mark.parametrize("centre", ["last", "mean"])
@pytest.mark.parametrize("spread", ["training", "window"])
def test_an_offset_changes_no_bit_of_a_window(season: int, centre: str, spread: str) -> None:
    transform = replace(
        TWO,
        roles=("target", "known"),
        mean=np.zeros((1, 2)),
        deviation=np.array([[2.0, 4.0]]),
        window=Window(8, 2, season, centre, spread),
        forecast=ForecastSpec(3, (0.5,)),
    )
    far = replace(transform, mean=np.array([[0.0, FAR]]))
    ends = np.arange(15, 64, 7)
    near, low = transform.make_windows(transform.impute(EIGHTHS, None)[0], ends)
    moved, high = far.make_windows(far.impute(EIGHTHS + FAR, None)[0], ends)
    assert moved.tobytes() == near.tobytes()
    assert high.spread.tobytes() == low.spread.tobytes()
    assert (low.spread > 0).all()
    out = np.ones((len(ends), 3))
    assert np.abs(high.invert(out, 1) - FAR - low.invert(out, 1)).max() < 1e-5


def test_an_offset_changes_no_bit_of_fixed_scaling() -> None:
    transform = replace(
        TWO, mean=np.array([[0.5, 0.25]]), deviation=np.array([[2.0, 4.0]]), forecast=ForecastSpec(1, (0.5,))
    )
    far = replace(transform, mean=transform.mean + FAR)  # type: ignore[operator]
    section, tensors = far.to_json()
    far = replace(SeriesTransform.from_json(section, tensors), roles=transform.roles, forecast=transform.forecast)
    near = transform.scale_fixed(transform.impute(EIGHTHS, None)[0], 0)
    assert near.dtype == np.float32
    assert far.scale_fixed(far.impute(EIGHTHS + FAR, None)[0], 0).tobytes() == near.tobytes()
    assert far.fixed_scaling(0).invert(np.ones((1, 1)), 1).item() == FAR + 0.5 + 2.0


def test_a_window_that_varies_little_beside_its_level_is_not_constant() -> None:
    transform = replace(TWO, window=Window(4, 1, 0, "mean", "window"), forecast=ForecastSpec(1, (0.5,)))
    steps = 1e9 + np.array([[1.0, 7], [2, 7], [3, 7], [4, 7]])
    rows, _ = transform.make_windows(steps, np.array([3]))
    np.testing.assert_allclose(rows[0, :, 0], (np.arange(1, 5) - 2.5) / np.sqrt(1.25), rtol=1e-7)
    assert rows[0, :, 1].tolist() == [0, 0, 0, 0]


def test_a_file_with_float32_statistics_still_loads() -> None:
    section, tensors = replace(TWO, mean=np.array([[1.5, 2.5]]), deviation=np.ones((1, 2))).to_json()
    assert {v.dtype for v in tensors.values()} == {np.dtype(np.float64)}
    older = {name: v.astype(np.float32) for name, v in tensors.items()}
    for found in (tensors, older):
        assert parse("x", section, found).features == 2
    with pytest.raises(ModelFileError, match="inputs.x.scale.mean: tensor 'input.mean' is F16; expected F64"):
        parse("x", section, {name: v.astype(np.float16) for name, v in tensors.items()})


# ---- fewer steps than a window


def test_a_window_that_is_not_full_is_worked_out_by_hand() -> None:
    transform = replace(
        TWO,
        roles=("target", "known"),
        mean=np.array([[0.0, 1.0]]),
        deviation=np.array([[2.0, 4.0]]),
        window=Window(4, segment=2, season=3, least=2),
        forecast=ForecastSpec(4, (0.5,)),
    )
    assert transform.window is not None
    steps = np.column_stack([np.arange(8.0) ** 2, np.arange(8.0)])
    behind = np.array([3, 6, 8])
    rows, frame = transform.make_windows(steps, behind - 1, behind)
    assert transform.window.count_rows(behind).tolist() == [2, 2, 2]
    # three steps, none with one a season before it: the season is not subtracted, and a zero fills the first segment
    alone = [[0, 0], [(0 - 4) / 2, (0 - 1) / 4], [(1 - 4) / 2, 0], [0, (2 - 1) / 4]]
    np.testing.assert_array_equal(rows[0], np.reshape(alone, (2, 4)).astype(np.float32))
    assert frame.base[0, :, 0].tolist() == [0, 0, 0, 0]
    assert frame.centre[0].tolist() == [4]
    # six steps: three of them minus the one a season before
    moved = [t**2 - (t - 3) ** 2 for t in (3, 4, 5)]
    season = [[0, 0], *([(m - moved[-1]) / 2, (t - 1) / 4] for m, t in zip(moved, (3, 4, 5), strict=True))]
    np.testing.assert_array_equal(rows[1], np.reshape(season, (2, 4)).astype(np.float32))
    assert frame.base[1, :, 0].tolist() == [9, 16, 25, 9]
    assert rows[2].tobytes() == transform.make_windows(steps, behind[2:] - 1)[0][0].tobytes()


@pytest.mark.parametrize("centre", ["last", "mean"])
def test_windows_that_are_not_full_are_those_of_each_alone(centre: str) -> None:
    window = Window(6, 3, 5, centre, "window", least=2)
    transform = replace(TWO, window=window, forecast=ForecastSpec(7, (0.1, 0.9)))
    steps = np.random.default_rng(2).standard_normal((30, 2))
    behind = np.arange(2, 31)
    rows, frame = transform.make_windows(steps, behind - 1, behind)
    for i, count in enumerate(behind):
        ring = steps[max(0, count - window.reach) : count]
        alone, own = transform.make_windows(ring, np.array([len(ring) - 1]), np.array([len(ring)]))
        assert alone[0].tobytes() == rows[i].tobytes()
        assert not rows[i, window.count_rows(behind)[i] :].any()
        for name in ("centre", "spread", "base"):
            assert getattr(own, name)[0].tobytes() == getattr(frame.select(i), name)[0].tobytes()
    assert window.count_rows(np.array([2, 3, 4, 6, 7, 9, 11])).tolist() == [1, 1, 2, 2, 1, 2, 2]


def test_a_file_says_from_how_many_steps_on_there_is_an_answer() -> None:
    section, tensors = replace(TWO, window=Window(4, spread="window", least=2)).to_json()
    assert SeriesTransform.from_json(section, tensors).window == Window(4, spread="window", least=2)
    assert parse("x", section, tensors).features == 2
    for least in (1, 5, 2.0):
        with pytest.raises(ModelFileError, match="inputs.x.window.least: is .*; expected an integer of 2 to 4"):
            parse("x", {**section, "window": {**section["window"], "least": least}}, tensors)
    assert "least" not in replace(TWO, window=Window(4)).to_json()[0]["window"]

"""Back-tests and forecasts ahead: forecasts equal those of a stream, and baselines are blind to later steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tidegate
from tidegate.backtest import backtest, forecast_ahead
from tidegate.data.series import Collection, from_arrays
from tidegate.errors import DataError, OptionError
from tidegate.features.frequency import infer_frequency, to_utc
from tidegate.model import Model
from tidegate.tasks._baseline_models import Ridge, RidgeWindow, seasonal_naive

torch.set_num_threads(1)

RANDOM = np.random.default_rng(2)
T = 130
WAVE = 20 + np.sin(np.arange(T) / 3) + RANDOM.standard_normal(T) / 5
FLAG = (np.arange(T) % 5 == 0).astype(float)
HOURS = (np.datetime64("2024-01-01") + np.arange(T) * np.timedelta64(1, "h")).astype("M8[us]")


def table(until: int = T, times: bool = False, **columns: Any) -> Collection:
    found = from_arrays([np.stack(list(columns.values()), 1)[:until]], columns=list(columns))
    if times:
        found.series[0].__dict__["times"] = HOURS[:until]
    return found


def fitted(folder: Path, source: Any, **options: Any) -> Model:
    quick = {"horizon": 3, "hidden": 3, "epochs": 1, "refit_epochs": 1, "season": 0}
    return tidegate.fit("forecast", source, out=str(folder / "m.safetensors"), restart=True, **{**quick, **options})


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return fitted(tmp_path_factory.mktemp("plain"), table(100, y=WAVE), lookback=6, season=4)


def test_it_begins_after_the_rows_learnt_from(plain: Model) -> None:
    found = backtest(plain, table(y=WAVE))
    (one,) = found.series
    assert one.origins.tolist() == list(range(99, T - 3))
    assert found.begins == "after the rows that the model was fitted on (1 series)"
    changed = WAVE.copy()
    changed[50] += 1
    assert backtest(plain, table(y=changed)).series[0].origins[0] == 9
    assert backtest(plain, table(y=changed)).begins == "as soon as enough steps are known"
    with pytest.raises(DataError, match="no step is left to forecast after the rows that the model was fitted on"):
        backtest(plain, table(100, y=WAVE))


def test_rows_whose_targets_were_learnt_beside_known_columns_are_no_test(tmp_path: Path) -> None:
    for head in ("direct", "autoregressive"):
        model = fitted(tmp_path, table(100, y=WAVE, k=FLAG), known="k", lookback=6, head=head)
        found = backtest(model, table(y=WAVE, k=FLAG))
        assert found.series[0].origins.tolist() == list(range(99, T - 3))
        ahead = WAVE.copy()
        ahead[97:100] = np.nan  # the future, as its known columns come
        model = fitted(tmp_path, table(100, y=ahead, k=FLAG), known="k", lookback=6, head=head, missing="ffill")
        assert backtest(model, table(y=WAVE, k=FLAG)).series[0].origins[0] == 96


def test_forecasts_truth_and_baselines_one_by_one(plain: Model) -> None:
    found = backtest(plain, table(y=WAVE), every=4)
    (one,) = found.series
    assert one.origins.tolist() == list(range(99, T - 3, 4))
    predictor = tidegate.Predictor(plain)
    for k, origin in enumerate(one.origins.tolist()):
        stream = predictor.stream()
        values = stream.push(WAVE[: origin + 1, None]).values
        assert values.tobytes() == np.ascontiguousarray(one.forecasts[k]).tobytes()
        assert one.truth[k, :, 0].tolist() == WAVE[origin + 1 : origin + 4].tolist()
    truth, y = one.truth, WAVE[:, None]
    assert found.metrics["mae"] == pytest.approx(np.abs(one.forecasts[..., 1] - truth).mean())
    ridge = Ridge.fit_windows(RidgeWindow(6, 3, 4), [y[:85]], longer=[y[:100]])[1]  # the last 15 % chose no penalty
    expected = [
        seasonal_naive(y, one.origins, 3, 1),
        seasonal_naive(y, one.origins, 3, 4),
        ridge.predict(y, one.origins),
    ]
    assert np.allclose(list(found.baselines.values()), [np.abs(made - truth).mean() for made in expected])
    scale = np.abs(WAVE[4:100] - WAVE[:96]).mean()
    assert found.metrics["mase"] == pytest.approx(found.metrics["mae"] / scale)


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_stored_baselines_need_no_training_rows(head: str, tmp_path: Path) -> None:
    model = fitted(tmp_path, table(100, y=WAVE), lookback=30, season=4, head=head)
    saved = Model.load(tmp_path / "m.safetensors")
    assert list(saved.document["provenance"]["baseline_models"]) == list(backtest(saved, table(y=WAVE)).baselines)
    few = table(y=WAVE[60:101])
    found, again = backtest(saved, few), backtest(saved, few, start=36)
    assert len(found.series[0].origins) > len(again.series[0].origins)
    assert all(isinstance(error, float) for error in {**found.baselines, **again.baselines}.values())
    older = {
        k: v for k, v in saved.document["provenance"].items() if k not in ("baseline_models", "training_deviation")
    }
    tensors = {name: v for name, v in saved.tensors.items() if not name.startswith("baseline.")}
    old = Model({**saved.document, "provenance": older}, tensors)
    assert old.weights_hash == saved.weights_hash == model.weights_hash
    assert list(backtest(old, table(y=WAVE)).baselines) == list(found.baselines)
    with pytest.raises(OptionError, match="does not record it, as it was written by an older version"):
        backtest(old, few, scaled=True)


def test_a_baseline_that_could_not_be_fitted_says_so_later(tmp_path: Path) -> None:
    model = fitted(tmp_path, table(30, y=WAVE), lookback=4, horizon=8, hold_out=0.5)
    found = backtest(model, table(y=WAVE))
    assert [type(v) for v in found.baselines.values()] == [float, str]
    assert "ridge has no window to fit" in list(found.baselines.values())[1]


@pytest.mark.parametrize("channels", ["apart", "together"])
def test_errors_of_channels_and_series_have_names(channels: str, tmp_path: Path) -> None:
    x = [np.stack([WAVE, WAVE * 1000 + RANDOM.standard_normal(T)], 1), np.stack([WAVE[::-1], WAVE * 5], 1)]
    source = from_arrays([v[:100] for v in x], columns=["small", "large"], ids=["a", "b"])
    model = fitted(tmp_path, source, lookback=6, channels=channels)
    whole = from_arrays(x, columns=["small", "large"], ids=["a", "b"])
    found = backtest(model, whole)
    assert found.targets == list(found.metrics["per_target"]) == ["small", "large"]
    assert list(found.metrics["per_series"]) == ["a", "b"]
    error = [np.abs(one.forecasts[..., 1] - one.truth) for one in found.series]
    large = error[1::2] if channels == "apart" else [e[:, :, 1:] for e in error]
    assert found.metrics["per_target"]["large"]["mae"] == pytest.approx(np.concatenate(large).mean())
    of_b = error[2:] if channels == "apart" else error[1:]
    assert found.metrics["per_series"]["b"]["mae"] == pytest.approx(np.concatenate(of_b).mean())
    assert found.metrics["per_series"]["b"]["per_target"]["large"]["mae"] == pytest.approx(
        (of_b[1] if channels == "apart" else of_b[0][:, :, 1]).mean()
    )
    scaled = backtest(model, whole, scaled=True)
    deviations = np.array([v[:100].std(0) for v in x])
    expected = [of.mean() / deviation for of, deviation in zip(large, deviations[:, 1], strict=True)]
    assert scaled.metrics["per_target"]["large"]["mae"] == pytest.approx(np.mean(expected))
    assert scaled.metrics["mase"] == pytest.approx(found.metrics["mase"])
    last = scaled.baseline_figures["last value"]
    assert last["mase"] == pytest.approx(found.baseline_figures["last value"]["mase"])
    assert scaled.baselines["last value"] == last["mae"] != found.baselines["last value"]
    strangers = backtest(model, from_arrays(x, columns=["small", "large"], ids=["c", "d"]), scaled=True, start=100)
    unit = np.sqrt((deviations[:, 1] ** 2).mean())
    assert strangers.metrics["per_target"]["large"]["mae"] == pytest.approx(np.concatenate(large).mean() / unit)


def test_channels_of_different_units_are_compared_scaled(plain: Model, tmp_path: Path) -> None:
    noise = RANDOM.standard_normal(T)
    source = {"easy": WAVE * 1e6, "hard": np.cumsum(noise)}
    model = fitted(tmp_path, table(100, **source), lookback=6, channels="apart")
    found = backtest(model, table(**source))
    beaten = [one["mase"] for one in found.baseline_figures.values() if one["mase"] <= found.metrics["mase"]]
    assert found.warning.count("(MASE") == len(beaten)
    assert "(MAE" not in found.warning


@pytest.mark.parametrize("options", [{"lookback": 6}, {"scale": "fixed"}, {"head": "autoregressive", "lookback": 6}])
def test_the_future_changes_no_forecast(options: dict[str, Any], tmp_path: Path) -> None:
    model = fitted(tmp_path, table(80, y=WAVE), **options)
    later = WAVE.copy()
    later[110:] = 1e6
    one, other = (backtest(model, table(y=y), start=90).series[0] for y in (WAVE, later))
    same = one.origins < 110
    assert one.forecasts[same].tobytes() == other.forecasts[same].tobytes()
    assert one.forecasts[~same].tobytes() != other.forecasts[~same].tobytes()


def test_where_it_starts(plain: Model) -> None:
    timed = table(times=True, y=WAVE)
    assert backtest(plain, timed, start=110).series[0].origins[0] == 109
    assert backtest(plain, timed, start="110").series[0].origins[0] == 109
    assert backtest(plain, timed, start=str(HOURS[110])).series[0].origins[0] == 109
    zoned = table(times=True, y=WAVE)
    zoned.series[0].__dict__.update(local=HOURS + np.timedelta64(1, "h"), zone="+01:00")
    for start in ("2024-01-05T14:00:00Z", "2024-01-05T15:00:00+01:00", "2024-01-05T15:00:00"):
        assert backtest(plain, zoned, start=start).series[0].origins[0] == 109
    with pytest.raises(OptionError, match="which has a zone, and the times of arrays have none"):
        backtest(plain, timed, start="2024-01-05T15:00:00+01:00")
    early = backtest(plain, timed, start=2)
    assert early.series[0].origins[0] == 9
    assert early.begins == (
        "from 2, in 1 of 1 series as soon as enough steps are known, "
        "some of which the model was fitted on: these figures are no test"
    )
    assert backtest(plain, timed, start=100).begins == "from 100"
    for start, message in ((-1, "start is -1"), ("-5", "expected the number of a step or a time"), ("soon", "'soon'")):
        with pytest.raises(OptionError, match=message):
            backtest(plain, timed, start=start)
    with pytest.raises(OptionError, match="has no times; give the number of a step"):
        backtest(plain, table(y=WAVE), start="2024-01-05")
    with pytest.raises(DataError, match="no step is left to forecast from 129: a forecast needs 10 steps"):
        backtest(plain, timed, start=129)
    with pytest.raises(OptionError, match="every is 0"):
        backtest(plain, timed, every=0)


def test_what_cannot_be_scored(plain: Model, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 2 columns \('y', 'z'\); the model was fitted on 1 column \('y'\)"):
        backtest(plain, table(y=WAVE, z=WAVE))
    holed = WAVE.copy()
    holed[7] = np.nan
    with pytest.raises(DataError, match="step 8: no number in column 'y'"):
        backtest(plain, table(y=holed))
    masked = fitted(tmp_path, table(100, y=WAVE), lookback=6, missing="mask")
    with pytest.raises(DataError, match="all targets from 110 are missing"):
        backtest(masked, table(y=np.where(np.arange(T) < 110, WAVE, np.nan)), start=110)
    with pytest.raises(OptionError, match="task is classify; expected a forecaster"):
        backtest(Path(__file__).parents[1] / "golden" / "1-classifier.safetensors", table(y=WAVE))


def test_gaps_of_the_truth_are_left_out_and_counted(tmp_path: Path) -> None:
    model = fitted(tmp_path, table(100, y=WAVE), lookback=6, missing="mask")
    holed = WAVE.copy()
    holed[[3, 105, 120]] = np.nan
    found = backtest(model, table(y=holed), start=100)
    assert found.metrics["unknown"] == 6
    assert all(isinstance(v, float) for v in found.baselines.values())


def test_series_of_fixed_scaling_are_known_by_name(tmp_path: Path) -> None:
    two = from_arrays([WAVE, WAVE[:70] * 100], ids=["a", "b"])
    model = fitted(tmp_path, two, scale="fixed")
    found = backtest(model, from_arrays([WAVE[:70] * 100, WAVE], ids=["b", "a"]), start=60)
    assert [round(one.forecasts.mean() / 100) for one in found.series] == [20, 0]
    assert [one.name for one in forecast_ahead(model, two)] == ["a", "b"]
    with pytest.raises(DataError, match="'c' was not in training"):
        backtest(model, from_arrays([WAVE], ids=["c"]))


# ---- forecasts ahead


def test_onward_is_the_forecast_after_the_last_step(plain: Model) -> None:
    (found,) = forecast_ahead(plain, table(y=WAVE))
    assert found.values.tobytes() == tidegate.Predictor(plain).stream().push(WAVE[:, None]).values.tobytes()
    assert found.history[:, 0].tolist() == WAVE.tolist()
    assert found.steps == ["+1", "+2", "+3"]
    (timed,) = forecast_ahead(plain, table(times=True, y=WAVE))
    assert timed.steps == ["2024-01-06T10:00:00", "2024-01-06T11:00:00", "2024-01-06T12:00:00"]
    with pytest.raises(DataError, match="step 5: the series has 5 steps; this model needs 10; give earlier rows too"):
        forecast_ahead(plain, table(5, y=WAVE))


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_onward_reads_what_is_known_and_not_the_targets_there(head: str, tmp_path: Path) -> None:
    model = fitted(tmp_path, table(100, y=WAVE, k=FLAG), known="k", lookback=6, head=head, missing="ffill")
    unknown = np.where(np.arange(T) < T - 3, WAVE, np.nan)
    (one,), (other,) = (forecast_ahead(model, table(times=True, y=y, k=FLAG)) for y in (WAVE, unknown))
    assert one.values.tobytes() == other.values.tobytes()
    assert len(one.history) == T - 3
    assert one.steps == [str(t)[:19] for t in HOURS[-3:]]
    (third,) = forecast_ahead(model, table(y=WAVE, k=1 - FLAG))
    assert third.values.tobytes() != one.values.tobytes()


def test_dropped_steps_do_not_count_in_the_times_ahead(tmp_path: Path) -> None:
    model = fitted(tmp_path, table(100, y=WAVE), lookback=6, missing="drop")
    (found,) = forecast_ahead(model, table(times=True, y=np.where(np.arange(T) < T - 2, WAVE, np.nan)))
    assert found.steps[0] == str(HOURS[T - 2])[:19]


@pytest.mark.parametrize(
    ("times", "zone", "steps", "assumed"),
    [
        (["2024-02-29", "2024-03-01"], "", ["2024-03-04", "2024-03-05"], "one step each business day"),
        (["2024-03-30"], "+01:00", ["2024-03-31T00:00:00+01:00"], "at the offset +01:00 of the last one"),
        (["2024-03-30"], "Europe/Paris", ["2024-03-31T00:00:00+01:00", "2024-04-01T00:00:00+02:00"], ""),
        (["2024-03-30"], "UTC", ["2024-03-31T00:00:00Z", "2024-04-01T00:00:00Z"], "one step every day"),
        (["2024-03-20", "2024-03-30"], "", ["+1", "+2", "+3"], "the times follow no calendar, so the steps ahead are"),
    ],
)
def test_forecasts_carry_the_dates_that_follow(
    times: list[str], zone: str, steps: list[str], assumed: str, plain: Model
) -> None:
    """times: the last ones; days or business days, except for the last two, come before them."""
    last = np.datetime64(times[0])
    before = last - np.arange(80, 0, -1)
    business = "business" in assumed
    clock = np.append(before[np.is_busday(before)][-38:] if business else before, last).astype("M8[us]")
    clock = np.append(clock, np.array(times[1:], "M8[us]"))
    source = from_arrays([WAVE[: len(clock)]], columns=["y"])
    moments = to_utc(clock, zone) if zone else clock
    source.series[0].__dict__.update(times=moments, local=clock if zone else None, zone=zone)
    (found,) = forecast_ahead(plain, source)
    assert [step.removesuffix("T00:00:00") for step in found.steps[: len(steps)]] == steps
    assert assumed in found.assumed


def test_the_calendar_of_training_decides_where_a_short_file_would_not(tmp_path: Path) -> None:
    days = np.arange("2024-01-01", "2024-06-01", dtype="M8[D]")
    business = days[np.is_busday(days)].astype("M8[us]")[:100]
    source = table(100, y=WAVE)
    source.series[0].__dict__["times"] = business
    model = fitted(tmp_path, source, lookback=4)
    assert model.document["inputs"]["x"]["times"]["frequency"]["weekdays"] == "1111100"
    short = from_arrays([WAVE[:5]], columns=["y"])
    short.series[0].__dict__["times"] = business[:5]
    assert forecast_ahead(model, short)[0].steps[0] == "2024-01-08T00:00:00"
    assert str(infer_frequency(business[:5])) == "every day"


def test_times_with_a_zone_are_no_times_without_one(tmp_path: Path) -> None:
    model = fitted(tmp_path, table(100, times=True, y=WAVE), lookback=4, time="at", calendar="day")
    zoned = table(times=True, y=WAVE)
    zoned.series[0].__dict__.update(local=HOURS, zone="UTC")
    for ask in (forecast_ahead, backtest):
        with pytest.raises(DataError, match="the times have a zone, and those that the model was fitted on had none"):
            ask(model, zoned)

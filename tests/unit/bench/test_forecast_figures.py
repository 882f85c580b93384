"""The figures of bench/forecast.py on series whose errors are known by hand."""

import importlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from tidegate.backtest import Backtest, SeriesBacktest
from tidegate.tasks._windows import Track
from tidegate.tasks.forecast import Options

QUANTILES = [0.1, 0.5, 0.9]
OPTIONS = Options(horizon=2, lookback=4, season=0)


@pytest.fixture
def bench(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "bench")
    monkeypatch.setattr(sys, "argv", ["bench/forecast.py"])
    for name in ("TIDEGATE_TARGET", "TIDEGATE_FUSED"):
        monkeypatch.delenv(name, raising=False)
    yield importlib.import_module("forecast")
    for name in ("forecast", "common", "common.fits", "common.record"):
        sys.modules.pop(name, None)


def back_test(x, first, offset):
    """Make forecasts two steps ahead from `first` on that exceed the truth by `offset` (of the origin's number)."""
    truth = np.asarray(x, float)[:, None]
    origins = np.arange(first, len(truth) - 2)
    came = truth[origins[:, None] + [1, 2]]
    made = came + np.array([offset(k) for k in range(len(origins))])[:, None, None]
    track = Track("", truth.astype(np.float32), truth, np.arange(len(truth)))
    return SeriesBacktest("", origins, np.stack([made - 5, made, made + 5], -1), came, track)


def backtest(*series, targets=("x",), **metrics):
    last = {"mae": 2.0, "mase": 2.0}
    found = Backtest(list(series), QUANTILES, ["x"], metrics, {"last value": 2.0}, "")
    return replace(found, targets=list(targets), baseline_figures={"last value": last})


def by_name(rows):
    assert len({row["figure"] for row in rows}) == len(rows)
    return {row["figure"]: row for row in rows}


def test_each_week_stands_by_its_first_step_ahead_over_the_better_naive(bench):
    start = 336 + 50
    found = back_test(np.arange(start + 2 * 336 + 30), start - 1, lambda k: 1 + k // 336)
    rows = by_name(bench.load_figures(backtest(found), OPTIONS))
    assert len(found.origins) == 2 * 336 + 29
    figures = {name: row["value"] for name, row in rows.items()}
    weeks = [336 * 1, 336 * 2, 29 * 3]
    assert figures == {
        "error over that of the day before, all origins": pytest.approx(sum(weeks) / (2 * 336 + 29) / 48),
        "error over that of the day before, week 1": pytest.approx(1 / 48),
        "error over that of the day before, week 2": pytest.approx(2 / 48),
        "error over that of the day before, week 3": pytest.approx(3 / 48),
        "mean absolute error, megawatts": pytest.approx(sum(weeks) / (2 * 336 + 29)),
    }
    beside = rows["mean absolute error, megawatts"]["beside"]
    assert {name: round(v, 3) for name, v in beside.items()} == {
        "day before": 48,
        "week before": 336,
        "ridge": 0,
        "ridge, refitted weekly": 0,
    }
    assert set(rows["error over that of the day before, week 1"]["beside"]) == {"ridge", "ridge, refitted weekly"}


def test_a_ridge_is_fitted_on_what_was_known(bench):
    start, turn = 400, 400 + 336
    x = np.sin(np.arange(turn + 336) / 7)
    x[turn:] *= 100
    found = back_test(x, start - 1, lambda k: 0)
    made = bench.all_forecasts(found, OPTIONS)
    x[start:] = 1e6  # what came later
    again = bench.all_forecasts(back_test(x, start - 1, lambda k: 0), OPTIONS)
    assert np.array_equal(made["ridge"][0], again["ridge"][0])
    assert np.array_equal(made["ridge, refitted weekly"][0], again["ridge, refitted weekly"][0])
    assert np.array_equal(made["ridge"][:336], made["ridge, refitted weekly"][:336])
    assert not np.array_equal(made["ridge"][336:], made["ridge, refitted weekly"][336:])


def test_errors_of_every_channel_are_over_its_deviation_in_training(bench, monkeypatch):
    monkeypatch.setattr(bench, "TRAINING_ROWS", 40)
    wave = np.tile([-3.0, 3.0], 60)
    wave[40:] *= 7  # training alone says what the unit is: 3
    small, large = back_test(wave, 64, lambda k: 3.0), back_test(100 * wave, 64, lambda k: 600.0)
    rows = by_name(bench.etth1_figures(backtest(small, large), OPTIONS))
    assert rows["MSE"]["value"] == pytest.approx((1**2 + 2**2) / 2)
    assert rows["MAE"]["value"] == pytest.approx((1 + 2) / 2)
    assert rows["MAE"]["beside"] == {"last value": pytest.approx(7.0), "day before": pytest.approx(0.0)}
    assert rows["MSE"]["beside"]["last value"] == pytest.approx(98.0)


def test_the_competitions_figures(bench):
    x = np.tile(np.arange(1.0, 25.0), 4)
    x[24:48] += 2  # a history whose days lie 2 and 2 apart
    x[-2:] = [30.0, 40.0]
    found = back_test(x, len(x) - 3, lambda k: 10.0)
    rows = by_name(bench.m4_figures(backtest(found), OPTIONS))
    scale = (24 * 2 + 24 * 2 + 22 * 0) / 70
    assert rows["MASE"]["value"] == pytest.approx(10 / scale)
    assert rows["sMAPE, %"]["value"] == pytest.approx((200 * 10 / 70 + 200 * 10 / 90) / 2)
    assert rows["MASE"]["beside"] == {"day before": pytest.approx((7 + 16) / 2 / scale)}
    assert rows["sMAPE, %"]["beside"] == {"day before": pytest.approx((200 * 7 / 53 + 200 * 16 / 64) / 2)}


@pytest.mark.parametrize(
    ("mae", "said", "code"),
    [(2.5, True, 0), (1.5, False, 0), (2.5, False, 0), (1.5, True, 0), (2.0, True, 0), (2.0, False, 0), (2.5, True, 2)],
)
def test_a_command_that_hides_a_better_baseline_ends_the_bench(bench, monkeypatch, mae, said, code):
    def main(argv):
        assert argv == ["score", "m.safetensors", "all.csv", "--start", "6070"]
        if said:
            print("warning: the model does not beat last value (MAE ...)")
        return code

    monkeypatch.setattr(bench.cli, "main", main)
    several = backtest(targets=("x", "y"), mae=0.0, mase=mae)
    for found in (backtest(mae=mae), several):
        check(bench, found, said == (mae >= 2.0) and not code, said)


def check(bench, found, agrees, said):
    if agrees:
        assert [row["value"] for row in bench.check_warning("m.safetensors", "all.csv", found, 6070)] == [float(said)]
    else:
        with pytest.raises(SystemExit, match="warned: "):
            bench.check_warning("m.safetensors", "all.csv", found, 6070)


def test_seeds_stand_in_one_row_and_sets_keep_their_figures(bench, tmp_path, monkeypatch, capsys):
    made = {0: 0.25, 1: 0.75}
    calls = []

    def measure_seed(name, files, seed):
        calls.append((name, seed))
        return [bench.figure("MSE", made[seed], 2, ridge=0.5), bench.detail("bytes of the file", 3, 0)]

    monkeypatch.setattr(bench, "measure_seed", measure_seed)
    monkeypatch.setattr(bench.catalogue, "fetch", lambda name: {})
    for name in ("m4_hourly", "load"):
        monkeypatch.setattr(sys, "argv", ["bench/forecast.py", name, "--seeds", "0", "1", "--out", str(tmp_path)])
        bench.main()
    found = json.loads((tmp_path / "forecast.json").read_text("utf-8"))
    assert list(found) == ["load", "m4_hourly"]
    assert calls == [("m4_hourly", 0), ("m4_hourly", 1), ("load", 0), ("load", 1)]
    assert found["load"]["command"] == "python bench/forecast.py load --seeds 0 1"
    assert found["load"]["figures"]["rows"] == [
        {"figure": "MSE", "digits": 2, "beside": {"ridge": 0.5}, "values": [0.25, 0.75]},
        {"figure": "bytes of the file", "digits": 0, "beside": {}, "detail": True, "values": [3.0, 3.0]},
    ]
    assert found["load"]["figures"]["published"]
    assert "0.50  0.25 0.75" in capsys.readouterr().out


def test_an_unknown_set_is_refused(bench, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench/forecast.py", "trec"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "no case 'trec'; choose of load, etth1" in capsys.readouterr().err

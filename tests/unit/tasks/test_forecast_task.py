"""A forecaster's options and columns, and the defaults that depend on the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from padded import pad_batch
from tidegate.data.series import Collection, from_arrays
from tidegate.errors import DataError, OptionError
from tidegate.features.series import SeriesTransform
from tidegate.tasks._baseline_models import Ridge, seasonal_naive
from tidegate.tasks._channels import ChannelIndependent
from tidegate.tasks._windows import TRAIN, VALID, Windows
from tidegate.tasks.base import Problem
from tidegate.tasks.forecast import Options, prepare, read, summary

RANDOM = np.random.default_rng(11)
WAVE = np.sin(np.arange(120) / 3) + RANDOM.standard_normal(120) / 9
FLAG = (np.arange(120) % 5 == 0).astype(float)


def table(**columns: Any) -> Collection:
    return from_arrays([np.stack(list(columns.values()), 1)], columns=list(columns))


def make_problem(source: Any, judged: Any = None, **options: Any) -> Problem:
    given = Options(**{"horizon": 2, "hidden": 2, **options})
    return prepare(read(source, given), None if judged is None else read(judged, given), given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon is 0; it must be 1 to 10000"),
        ({"quantiles": "0.1,0.9"}, "0.5 among them"),
        ({"quantiles": "0.9,0.5"}, "ascend"),
        ({"quantiles": "0.5,nan"}, "between 0 and 1"),
        ({"quantiles": ",".join(str(i / 200) for i in range(1, 200))}, "199 entries; at most 99"),
        ({"targets": "a,a"}, "appears twice"),
        ({"targets": "a", "known": "a"}, "'a' is named as target and as known"),
        ({"known": "a,,b"}, "an entry is empty"),
        ({"lookback": 10, "segment": 3}, "not a multiple of segment"),
        ({"lookback": 1}, "is always 0; choose 2 or more"),
        ({"scale": "fixed", "segment": 2}, "are for --scale window"),
        ({"scale": "fixed", "spread": "window"}, "are for --scale window"),
        ({"scale": "fixed", "centre": "mean"}, "are for --scale window"),
        ({"missing": "drop", "known": "a"}, "choose --missing ffill or mask"),
        ({"head": "both"}, "choose one of direct, autoregressive"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Options(**{"horizon": 2, **options})


def test_roles_by_what_is_named() -> None:
    source = table(k=FLAG, a=WAVE, b=WAVE, value=WAVE)
    found = read(source, Options(horizon=2, known="k"))
    assert isinstance(found, ChannelIndependent)
    assert (found.columns, found.targets) == (["value", "k"], ("a", "b", "value"))
    found = read(source, Options(horizon=2, known="k", targets="b"))
    assert found.columns == ["b", "a", "value", "k"]
    made = make_problem(source, known="k", targets="b")
    assert made.inputs["x"]["roles"] == ["past", "past", "past", "known"]
    assert made.outputs["forecast"]["columns"] == ["b"]
    found = read(table(a=WAVE, b=WAVE, value=FLAG), Options(horizon=2, known="value"))
    assert isinstance(found, ChannelIndependent)
    assert (found.columns, found.targets) == (["value 2", "value"], ("a", "b"))


def test_a_column_called_value_is_as_any_other() -> None:
    made = make_problem(table(value=WAVE, temp=FLAG + WAVE), targets="temp")
    assert made.inputs["x"]["columns"] == ["temp", "value"]
    assert made.inputs["x"]["roles"] == ["past", "past"]
    assert made.outputs["forecast"]["columns"] == ["temp"]
    assert made.options.channels == "together"
    made = make_problem(table(value=WAVE, temp=FLAG + WAVE), channels="together")
    assert made.outputs["forecast"]["columns"] == ["value", "temp"]
    assert made.options.channels == "together"
    assert make_problem(table(value=WAVE, temp=FLAG + WAVE)).options.channels == "apart"


def test_columns_are_found_by_name_in_any_order() -> None:
    options = Options(horizon=2, channels="together")
    found = read(table(b=FLAG, a=WAVE), options, ["a", "b"])
    assert found.columns == ["a", "b"]
    assert found.series[0].values[:, 0].tolist() == WAVE.tolist()
    for source in (table(a=WAVE), table(a=WAVE, c=WAVE), table(a=WAVE, b=WAVE, c=WAVE)):
        with pytest.raises(DataError, match=r"has . columns? .*; the model was fitted on 2 columns \('a', 'b'\)"):
            read(source, options, ["a", "b"])
    with pytest.raises(DataError, match=r"has 2 columns \('a', 'b'\); the model was fitted on 1 column \('c'\)"):
        read(table(a=WAVE, b=WAVE), Options(horizon=2), ["c"])


def test_columns_that_are_not_there() -> None:
    for role in ("targets", "known", "static"):
        with pytest.raises(DataError, match=r"no column 'x' to use as .*; there are 1 column \('a'\)"):
            read(table(a=WAVE), Options(**{"horizon": 2, role: "x"}))
    with pytest.raises(DataError, match="none is left to forecast"):
        read(table(a=WAVE), Options(horizon=2, known="a"))
    with pytest.raises(OptionError, match="horizon is missing"):
        read(table(a=WAVE), Options())


def test_what_was_taken_is_said(tmp_path: Path) -> None:
    source = table(a=WAVE, b=WAVE, k=FLAG)
    said = summary(read(source, options := Options(horizon=2, known="k")), options)
    assert "targets, each a series of its own: 2 columns ('a', 'b'); known: 1 column ('k')" in said
    file = tmp_path / "t.csv"
    days = np.r_[np.arange(10), np.arange(12, 20)]
    file.write_text("day,y\n" + "".join(f"{np.datetime64('2024-01-01') + d},{d}\n" for d in days.tolist()))
    options = Options(horizon=2, time="day")
    assert summary(read(str(file), options), options).endswith(
        "time is uneven at 1 step, first at " + f"{file}:12: steps are counted, not times"
    )
    file.write_text("day,y\n" + "".join(f"{2020 + m // 12}-{m % 12 + 1:02d}-01,{m}\n" for m in range(30)))
    assert summary(read(str(file), options), options).endswith("; one step every month, on its first day")
    days = np.arange("2024-01-01", "2024-03-02", dtype="M8[D]")
    file.write_text("day,y\n" + "".join(f"{day},1\n" for day in days[np.is_busday(days)]))
    assert summary(read(str(file), options), options).endswith("; one step each business day (Monday to Friday)")


def test_a_calendar_reads_the_column_that_is_taken_for_the_times(tmp_path: Path) -> None:
    file, options = tmp_path / "t.csv", Options(horizon=2, calendar="week")
    file.write_text("ds,y\n" + "".join(f"2024-01-{d:02d},{d}\n" for d in range(1, 30)))
    assert read(str(file), options).series[0].times is not None
    file.write_text("y\n1\n2\n3\n")
    with pytest.raises(DataError, match="calendar needs times, and there are none; name their column with --time"):
        read(str(file), options)


def test_series_of_different_calendars_each_go_on_by_their_own(tmp_path: Path) -> None:
    file, options = tmp_path / "t.csv", Options(horizon=2, time="day", id="id")
    days = np.arange("2024-01-01", "2024-03-02", dtype="M8[D]")
    lines = [f"daily,{day},1" for day in days] + [f"work,{day},1" for day in days[np.is_busday(days)]]
    file.write_text("\n".join(["id,day,y", *lines]))
    assert summary(read(str(file), options), options).endswith("different calendars: each series continues by its own")
    file.write_text("\n".join(["id,day,y", *lines, *(f"odd,2024-01-{d:02d},1" for d in (1, 2, 5, 6, 7))]))
    assert summary(read(str(file), options), options).endswith(": in such series steps are counted, not times")


def test_integer_times_with_gaps_are_told(tmp_path: Path) -> None:
    file, options = tmp_path / "t.csv", Options(horizon=2, time="hour")
    for hours, said in (([*range(9), *range(12, 20)], True), (range(0, 40, 2), False)):
        file.write_text("hour,y\n" + "".join(f"{h},{h}\n" for h in hours))
        found = summary(read(str(file), options), options)
        assert found.endswith(f"time is uneven at 1 step, first at {file}:11: steps are counted, not times") == said
        assert ("uneven" in found) == said


# ---- defaults


def test_what_is_decided_is_recorded_and_fits_together() -> None:
    for n in (30, 60, 120):
        made = make_problem(table(a=np.tile(WAVE, 2)[:n])).options
        assert made.lookback % made.segment == 0
        assert made.lookback >= 2
        assert None not in (made.season, made.batch, made.epochs, made.spread, made.patience, made.refit_epochs)
    wide = make_problem(table(a=WAVE), segment=30).options
    assert (wide.lookback, wide.segment) == (30, 30)
    assert make_problem(table(a=WAVE), lookback=26).options.segment == 1
    fixed = make_problem(table(a=WAVE), scale="fixed").options
    assert (fixed.segment, fixed.spread) == (None, None)


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_nothing_is_decided_by_the_held_out_end(head: str) -> None:
    y = np.tile(WAVE[:24], 10) + RANDOM.standard_normal(240) / 20
    later = y.copy()
    later[205:] = RANDOM.standard_normal(35) * 100
    one, other = (make_problem(table(a=values), head=head) for values in (y, later))
    assert one.options == other.options
    assert one.arrays.keys() == other.arrays.keys()
    same = [name for name in one.arrays if not name.startswith("baseline.")]  # those of a later use see what it saw
    assert all(one.arrays[name].tobytes() == other.arrays[name].tobytes() for name in same)
    assert one.options.season == other.options.season
    assert all(
        a.tobytes() == b.tobytes()
        for a, b in zip(*(pad_batch(m.rows, m.train_rows) for m in (one, other)), strict=True)
    )


def test_the_season_is_looked_for_before_the_held_out_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def looking(histories: Any, horizon: int, times: Any, *rest: Any) -> int:
        seen.append((*map(len, histories), *map(len, times)))
        return 0

    monkeypatch.setattr("tidegate.tasks.forecast.find_season", looking)
    source = table(a=WAVE)
    source.series[0].__dict__["times"] = np.datetime64("2024-01-01", "us") + np.arange(120)
    make_problem(source, hold_out=0.25)
    assert seen == [(90, 90)]


def test_a_file_to_judge_by_leaves_all_to_learn_from() -> None:
    made = make_problem(table(a=WAVE), table(a=WAVE[:60] * 2), lookback=4)
    assert made.options.refit_epochs == 0
    assert made.provenance["rows"] == {"trained": 120 - 3 - 2, "held_out": 60 - 3 - 2}
    with pytest.raises(DataError, match="to evaluate on: .* take 4 steps, and the longest series has 3"):
        make_problem(table(a=WAVE), table(a=WAVE[:3]), lookback=4)
    with pytest.raises(DataError, match="to evaluate on: 12 steps are held out, and the horizon takes 20"):
        make_problem(table(a=WAVE), lookback=4, season=0, horizon=20, hold_out=0.1)
    with pytest.raises(DataError, match="the model was fitted on 1 column"):
        make_problem(table(a=WAVE), table(b=WAVE), lookback=4)
    two = from_arrays([WAVE, WAVE * 2], ids=["x", "y"])
    assert make_problem(two, from_arrays([WAVE + 1], ids=["y"]), scale="fixed").provenance["rows"]["held_out"] == 118
    with pytest.raises(DataError, match="'z' was not in training"):
        make_problem(two, from_arrays([WAVE + 1], ids=["z"]), scale="fixed")


def test_fixed_scaling_knows_series_by_name() -> None:
    with pytest.raises(DataError, match=r"has 2 series without names.*give the column of names with --id"):
        make_problem(from_arrays([WAVE, WAVE]), scale="fixed")
    named = make_problem(from_arrays([WAVE], ids=["only"]), scale="fixed")
    assert SeriesTransform.from_json(named.inputs["x"], named.arrays).names == ("only",)
    assert (
        SeriesTransform.from_json((free := make_problem(table(a=WAVE), scale="fixed")).inputs["x"], free.arrays).names
        is None
    )
    with pytest.raises(DataError, match="series 2, step 1: column 'value' is 3 at every step"):
        make_problem(from_arrays([WAVE, np.full(50, 3.0)], ids=["a", "b"]), scale="fixed")


def test_a_model_that_no_file_could_hold_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match="1,069,200 numbers; at most 1,048,576 are possible"):
        make_problem(
            from_arrays([RANDOM.standard_normal((2000, 12))]),
            horizon=900,
            channels="together",
            season=0,
            lookback=4,
            hold_out=0.5,
            quantiles=",".join(str(i / 100) for i in range(1, 100)),
        )


# ---- baselines


def test_baselines_err_on_the_origins_that_judge_the_model() -> None:
    two = from_arrays([WAVE, WAVE[:50] * 3 + 1])
    made = make_problem(two, lookback=6, season=4, spread="training")
    assert isinstance(made.rows, Windows)
    wrong: dict[str, list[Any]] = {"last": [], "season": [], "ridge": []}
    ridge = Ridge.fit([WAVE[:102, None], WAVE[:42, None] * 3 + 1], 6, 2, 4)
    for i, y in enumerate((WAVE[:, None], WAVE[:50, None] * 3 + 1)):
        here = (made.rows.part == VALID) & (made.rows.series == i)
        ends = (made.rows.ends - made.rows.first)[here]
        truth = y[ends[:, None] + [1, 2]]
        made_by = (("last", seasonal_naive(y, ends, 2, 1)), ("season", seasonal_naive(y, ends, 2, 4)))
        for name, forecast in (*made_by, ("ridge", ridge.predict(y, ends))):
            wrong[name] += np.abs(forecast - truth).ravel().tolist()
    found = list(made.provenance["baselines"].values())
    assert np.allclose(found, [np.mean(wrong[name]) for name in ("last", "season", "ridge")])
    assert made.provenance["rows"] == {
        "trained": int((made.rows.part == TRAIN).sum()),
        "held_out": len(wrong["last"]) // 2,
    }


def test_baselines_judge_where_the_model_is_judged() -> None:
    y = np.r_[WAVE, np.full(12, 5.0), WAVE[:8]]
    made = make_problem(table(a=y), lookback=6, season=0, spread="window")
    targets = pad_batch(made.rows, made.valid_rows)[2][:, 0, :, 0]
    constant = np.isnan(targets).all(1)
    assert 0 < constant.sum() < len(constant)
    assert isinstance(made.rows, Windows)
    ends = made.rows.ends[made.valid_rows][~constant]
    expected = np.abs(y[ends[:, None] + [1, 2]] - y[ends, None]).mean()
    assert made.provenance["baselines"]["last value"] == pytest.approx(expected)


def test_the_ridge_reads_what_the_model_reads() -> None:
    y = WAVE.copy()
    y[[30, 110]] = np.nan
    for missing in ("ffill", "mask"):
        assert isinstance(
            make_problem(table(a=y), missing=missing).provenance["baselines"]["ridge on the same window"], float
        )
    assert make_problem(table(a=WAVE), head="autoregressive", horizon=9).provenance["steps_ahead"] == 1

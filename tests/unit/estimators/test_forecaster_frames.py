"""Frames of pandas and polars: forecasts continue the index, columns keep their names, X is matched by label."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from tidegate.errors import WrongData, WrongValue
from tidegate.estimators import Forecaster

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

QUICK: dict[str, Any] = {"hidden": 8, "epochs": 2, "season": 0, "lookback": 12}
T, MORE = 72, 6
WAVE = np.sin(np.arange(T + MORE) / 3) + np.arange(T + MORE) / 50

INDEXES = {
    "months": pd.period_range("2020-01", periods=T + MORE, freq="M", name="month"),
    "hours": pd.date_range("2024-03-30", periods=T + MORE, freq="h", tz="Europe/Paris"),
    "month ends": pd.DatetimeIndex(pd.date_range("2020-01-31", periods=T + MORE, freq="ME").to_numpy()),
    "working days": pd.date_range("2024-01-01", periods=T + MORE, freq="B"),
    "range": pd.RangeIndex(100, 100 + 2 * (T + MORE), 2),
    "integers": pd.Index(np.arange(7, 7 + T + MORE)),
}


@pytest.mark.parametrize("name", INDEXES)
def test_the_index_goes_on(name: str) -> None:
    y = pd.Series(WAVE, INDEXES[name], name="load")
    made = Forecaster(**QUICK).fit(y.iloc[:T], fh=[1, 2, 4])
    found = made.predict()
    assert found.index.equals(y.index[[T, T + 1, T + 3]])
    assert found.index.name == y.index.name
    assert found.name == "load"
    assert made.cutoff.equals(y.index[T - 1 : T])
    assert found.to_numpy().tolist() == Forecaster(**QUICK).fit(WAVE[:T], fh=[1, 2, 4]).predict().tolist()
    made.update(y.iloc[T : T + 1]).update(y.iloc[T + 1 : T + 2])
    assert made.predict().index.equals(y.index[[T + 2, T + 3, T + 5]])
    with pytest.raises(WrongData, match="y continues at"):
        made.update(y.iloc[T : T + 2])


def test_a_horizon_of_labels() -> None:
    y = pd.Series(WAVE, INDEXES["months"])
    made = Forecaster(**QUICK).fit(y.iloc[:T], fh=y.index[T : T + 3])
    assert made.options_.horizon == 3
    assert made.predict(y.index[T + 1 : T + 2]).equals(made.predict(2))
    with pytest.raises(WrongValue, match="2019-12, which is not one of the steps after 2025-12"):
        made.predict(pd.period_range("2019-12", periods=1, freq="M"))


class Horizon:
    """The part of sktime's ForecastingHorizon that is used here."""

    def __init__(self, absolute: Any) -> None:
        self.absolute = absolute

    def to_relative(self, cutoff: Any) -> Any:
        return pd.Index([int((label - cutoff[0]).n) for label in self.absolute])


def test_a_horizon_object_is_asked() -> None:
    y = pd.Series(WAVE, INDEXES["months"])
    made = Forecaster(**QUICK).fit(y.iloc[:T], fh=Horizon(y.index[T : T + 3]))
    assert made.predict(Horizon(y.index[T + 1 : T + 3])).index.equals(y.index[T + 1 : T + 3])


def test_a_frame_and_the_layout_of_its_quantiles() -> None:
    y = pd.DataFrame({"a": WAVE, "b": WAVE[::-1]}, INDEXES["working days"])
    made = Forecaster(**QUICK).fit(y.iloc[:T], fh=[1, 2])
    assert made.predict().columns.tolist() == ["a", "b"]
    quantiles = made.predict_quantiles(alpha=[0.1, 0.5])
    assert quantiles.columns.tolist() == [("a", 0.1), ("a", 0.5), ("b", 0.1), ("b", 0.5)]
    assert quantiles["b"][0.5].tolist() == made.predict()["b"].tolist()
    interval = made.predict_interval(coverage=0.8)
    assert interval.columns.tolist() == [(c, 0.8, end) for c in ("a", "b") for end in ("lower", "upper")]
    assert interval[("a", 0.8, "lower")].tolist() == quantiles[("a", 0.1)].tolist()
    assert interval.index.equals(y.index[T : T + 2])
    one = Forecaster(**QUICK).fit(y["a"].iloc[:T].rename(None), fh=1)
    assert one.predict_quantiles(alpha=0.5).columns.tolist() == [(0, 0.5)]


def test_what_is_known_is_found_by_label() -> None:
    index = INDEXES["hours"]
    y = pd.Series(WAVE, index, name="load")
    X = pd.DataFrame({"warm": np.cos(np.arange(T + MORE)), "busy": np.arange(T + MORE) % 3}, index)
    made = Forecaster(**QUICK).fit(y.iloc[:T], X.iloc[:T], fh=[1, 2])
    assert made.model_.document["inputs"]["x"]["roles"] == ["past", "known", "known"]
    whole, rest = made.predict(X=X), made.predict(X=X.iloc[T : T + 2])
    assert whole.equals(rest)
    with pytest.raises(WrongData, match=r"X has no row for 2024-04-02 01:00"):
        made.predict(X=X.iloc[T + 1 :])
    with pytest.raises(WrongData, match="X has the columns busy, warm; fit was given warm, busy"):
        made.predict(X=X[["busy", "warm"]])
    assert Forecaster(**QUICK).fit(y.iloc[:T], X, fh=[1, 2]).predict(X=X).equals(whole)


def test_the_calendar_is_that_of_the_index() -> None:
    y = pd.Series(WAVE, INDEXES["hours"])
    made = Forecaster(**QUICK, calendar="day").fit(y.iloc[:T], fh=[1])
    assert made.model_.document["inputs"]["x"]["calendar"] == ["day"]
    moved = pd.Series(WAVE, INDEXES["hours"] + pd.Timedelta("12h"))
    other = Forecaster(**QUICK, calendar="day").fit(
        moved.iloc[:T], fh=[1]
    )  # its forecast may be ridge's, of no calendar
    assert other.model_.weights_hash != made.model_.weights_hash


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (pd.Series(WAVE, INDEXES["months"]).iloc[[0, 1, *range(3, T)]], "steps are missing in the index"),
        (pd.Series(WAVE, INDEXES["integers"]).iloc[[0, 1, *range(3, T)]], "steps are missing in the index"),
        (
            pd.Series(WAVE, INDEXES["hours"]).iloc[[0, 1, *range(3, T)]],
            "of the index have no frequency that explains every gap",
        ),
        (pd.Series(WAVE, INDEXES["hours"])[::-1], "sort it"),
        (pd.Series(WAVE[:3], ["a", "b", "c"]), "expected a PeriodIndex, a DatetimeIndex or integers"),
        (pd.Series(["a", "b"]), "column 'y' holds text, such as 'a'; expected numbers; convert it"),
        (pd.DataFrame({("a", "b"): WAVE}), "2 levels"),
        (pd.DataFrame(np.zeros((5, 2)), columns=["a", "a"]), "two columns are named 'a'"),
        (pl.DataFrame({"a": ["x"]}), "column 'a' holds text, such as 'x'; expected numbers"),
        (pl.DataFrame({"t": [datetime.date(2024, 1, 1)], "u": [datetime.date(2024, 1, 1)]}), "keep only that one"),
        (
            pl.DataFrame({"t": [datetime.date(2024, 1, d) for d in (1, 2, 4)], "a": [1, 2, 3]}),
            "in column 't' have no frequency",
        ),
        (pl.DataFrame({"t": [datetime.date(2024, 1, d) for d in (2, 1, 4)], "a": [1, 2, 3]}), "sort the rows by time"),
    ],
)
def test_what_nobody_can_go_on_from(y: Any, message: str) -> None:
    with pytest.raises(WrongData, match=message):
        Forecaster(**QUICK).fit(y, fh=1)


def test_the_columns_of_what_is_known_must_be_of_others() -> None:
    y = pd.DataFrame({"a": WAVE}, INDEXES["months"])
    with pytest.raises(WrongData, match="'a' is in y and in X"):
        Forecaster(**QUICK).fit(y, y, fh=1)
    with pytest.raises(WrongData, match="has a comma"):
        Forecaster(**QUICK).fit(y, y.rename(columns={"a": "b,c"}), fh=1)


def test_missing_numbers_of_pandas() -> None:
    y = pd.Series(WAVE, INDEXES["months"]).astype("Float64")
    y.iloc[5] = pd.NA
    assert Forecaster(**QUICK, missing="ffill").fit(y.iloc[:T], fh=1).predict().notna().all()


# ---- polars


@pytest.mark.parametrize("every", ["1mo", "30m", "1d"])
def test_times_of_polars_go_on(every: str) -> None:
    start, end = datetime.datetime(2024, 1, 1), datetime.datetime(2060, 1, 1)
    clock = pl.datetime_range(start, end, every, eager=True)[: T + MORE]
    y = pl.DataFrame({"t": clock, "a": WAVE, "b": WAVE[::-1]})
    made = Forecaster(**QUICK).fit(y[:T], fh=[1, 3])
    assert made.predict()["t"].to_list() == clock[[T, T + 2]].to_list()
    assert made.predict().columns == ["t", "a", "b"]
    assert made.predict_quantiles(alpha=[0.1, 0.9]).columns == ["t", "a_0.1", "a_0.9", "b_0.1", "b_0.9"]
    assert made.predict_interval().columns == ["t", "a_lower_0.8", "a_upper_0.8", "b_lower_0.8", "b_upper_0.8"]
    made.update(y[T : T + 1])
    assert made.cutoff == clock[T]
    assert made.predict()["t"].to_list() == clock[[T + 1, T + 3]].to_list()
    assert len(y[:T]) == T
    with pytest.raises(WrongData, match="y continues at"):
        made.update(y[T : T + 1])


def test_what_is_known_in_polars_is_found_by_time() -> None:
    clock = pl.date_range(datetime.date(2024, 1, 1), datetime.date(2024, 12, 31), "1d", eager=True)[: T + MORE]
    y = pl.DataFrame({"day": clock, "load": WAVE})
    X = pl.DataFrame({"day": clock, "warm": np.cos(np.arange(T + MORE))})
    made = Forecaster(**QUICK).fit(y[:T], X[:T], fh=[1, 2])
    assert made.predict(X=X).equals(made.predict(X=X[T:]))
    with pytest.raises(WrongData, match="X has no row for 2024-03-13"):
        made.predict(X=X[T + 1 :])


def test_a_column_of_polars() -> None:
    made = Forecaster(**QUICK).fit(pl.Series("load", WAVE[:T]), fh=[1, 2])
    assert made.predict().name == "load"
    assert made.predict().to_list() == Forecaster(**QUICK).fit(WAVE[:T], fh=[1, 2]).predict().tolist()
    assert made.predict_quantiles(alpha=0.5).columns == ["load_0.5"]
    assert made.cutoff == T - 1


def test_series_of_their_own_names() -> None:
    y = [pd.Series(WAVE[:T], name="a"), pd.Series(WAVE[:T] * 2, name="b")]
    assert [one.name for one in Forecaster(**QUICK).fit(y, fh=1).predict()] == ["a", "b"]

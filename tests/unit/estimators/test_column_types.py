"""Types of columns, in every library: times are found, numbers are read, and anything else is refused by name."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from tidegate.errors import WrongData
from tidegate.estimators import Classifier, Forecaster

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

QUICK: dict[str, Any] = {"hidden": 4, "epochs": 1, "refit_epochs": 0, "season": 0, "lookback": 4}
T = 40
WAVE = np.sin(np.arange(T) / 3)
DAYS = pd.bdate_range("2024-01-01", periods=T)
MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
EVERY = pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))


def forecast(y: Any, **options: Any) -> Any:
    return Forecaster(**{**QUICK, **options}).fit(y, fh=[1, 2]).predict()


@EVERY
def test_ds_becomes_the_times_and_business_days_go_on(make: Any) -> None:
    found = forecast(make({"ds": DAYS.to_numpy("M8[us]"), "y": WAVE}))
    expected = [datetime.datetime(2024, 2, 26), datetime.datetime(2024, 2, 27)]
    if isinstance(found, pd.DataFrame):
        assert (found.index.name, found.index.to_pydatetime().tolist(), list(found)) == ("ds", expected, ["y"])
    else:
        rows = found.to_dict(as_series=False) if isinstance(found, pl.DataFrame) else found.to_pydict()
        assert (list(rows), rows["ds"]) == (["ds", "y"], expected)


def test_a_table_of_arrow_goes_on_and_is_looked_up_by_time() -> None:
    days, warm = DAYS.to_numpy("M8[us]"), np.cos(np.arange(T))
    made = Forecaster(**QUICK).fit(
        pa.table({"t": days[:30], "y": WAVE[:30]}), pa.table({"t": days, "warm": warm}), fh=2
    )
    X = pa.table({"t": days[30:], "warm": warm[30:]})
    assert made.predict(X=X).column_names == ["t", "y"]
    made.update(pa.table({"t": days[30:31], "y": WAVE[30:31]}), pa.table({"t": days[30:31], "warm": warm[30:31]}))
    assert made.cutoff == days[30].item()
    with pytest.raises(WrongData, match="X has no row for 2024-02-13"):
        made.predict(X=X.slice(2))
    with pytest.raises(
        WrongData, match="y continues at 2024-02-14 00:00:00; expected 2024-02-13 00:00:00, the step after the last"
    ):
        made.update(pa.table({"t": days[32:33], "y": [1.0]}), pa.table({"t": days[32:33], "warm": [1.0]}))


def test_a_zone_of_a_frame_keeps_its_name() -> None:
    days = pd.date_range("2024-02-21", periods=T, tz="Europe/Paris")
    assert pd.date_range("2024-03-31", periods=2, tz="Europe/Paris").equals(
        forecast(pd.Series(WAVE, pd.DatetimeIndex(days.tolist()))[:39]).index
    )
    found = forecast(
        pl.DataFrame(
            {
                "t": pl.Series(days.to_numpy("M8[us]"))
                .dt.replace_time_zone("UTC")
                .dt.convert_time_zone("Europe/Paris"),
                "y": WAVE,
            }
        )[:39]
    )
    assert found["t"].dtype.time_zone == "Europe/Paris"
    assert [str(t) for t in found["t"]] == ["2024-03-31 00:00:00+01:00", "2024-04-01 00:00:00+02:00"]


OTHERS: dict[str, Any] = {
    "dates": [datetime.datetime(2024, 1, 1)] * T,
    "booleans": (WAVE > 0).tolist(),
    "text": [str(v) for v in WAVE],
    "duration": [datetime.timedelta(1)] * T,
}


@pytest.mark.parametrize("kind", OTHERS)
@EVERY
def test_other_types_are_refused_by_the_columns_name(make: Any, kind: str) -> None:
    frame = make({"ds": DAYS.to_numpy("M8[us]"), "odd": OTHERS[kind], "y": WAVE})
    for learn in (lambda: forecast(frame), lambda: Classifier().fit(frame, [0, 1] * (T // 2))):
        with pytest.raises(WrongData, match=r"column '(odd|ds)' (holds|is of type).*; expected .*; convert it"):
            learn()


@pytest.mark.parametrize(
    "column", [pd.Categorical([1, 2] * (T // 2)), WAVE + 1j, pd.period_range("2020", periods=T, freq="M")]
)
def test_other_types_of_pandas_are_refused_too(column: Any) -> None:
    with pytest.raises(WrongData, match=r"column 'odd' holds (categories|a complex|a Period); expected"):
        forecast(pd.DataFrame({"odd": column, "y": WAVE}))


@pytest.mark.parametrize("kind", [object, bool, complex, "M8[s]", str])
def test_arrays_and_columns_of_other_types_are_refused(kind: Any) -> None:
    odd = np.arange(T).astype(kind)
    for y, X in ((odd, None), (WAVE, odd)):
        with pytest.raises(WrongData, match="expected integers or floating-point numbers; convert it"):
            Forecaster(**QUICK).fit(y, X, fh=1)
    if kind is not object:
        with pytest.raises((WrongData, ValueError), match="X holds|Complex data not supported"):
            Classifier().fit(np.stack([odd, odd], 1), [0, 1] * (T // 2))
    if kind in (bool, str):
        for column in (pd.Series(odd), pl.Series("y", odd)):
            with pytest.raises(WrongData, match="column 'y' holds (booleans|text)"):
                forecast(column)
        with pytest.raises(WrongData, match="X, row 1, column 2: found|arrays, series 1 holds <U32"):
            Classifier().fit([[0.5, v] for v in odd.tolist()], [0, 1] * (T // 2))


@EVERY
def test_a_frame_of_one_column_of_text_is_texts(make: Any) -> None:
    texts, labels = [f"{word} {i}" for i in range(6) for word in ("hi", "bye")], ["a", "b"] * 6
    made = Classifier(hidden=4, epochs=1).fit(make({"text": texts}), labels)
    asked = [made.predict_proba(X).tobytes() for X in (make({"text": texts[:2]}), texts[:2], np.array([texts[:2]]).T)]
    assert len(set(asked)) == 1
    with pytest.raises(
        WrongData, match=r"column 'text' holds text.*to classify texts pass that column alone, as X\['text'\]"
    ):
        made.predict(make({"text": texts, "n": [1.0] * 12}))


def test_an_index_finer_than_a_microsecond_is_refused() -> None:
    exact = pd.date_range("2024-01-01", periods=T, freq="1us").as_unit("ns")
    assert forecast(pd.Series(WAVE, exact)).index[0] == exact[-1] + pd.Timedelta("1us")
    with pytest.raises(WrongData, match="finer than a microsecond; round the times"):
        forecast(pd.Series(WAVE, pd.date_range("2024-01-01", periods=T, freq="100ns")))

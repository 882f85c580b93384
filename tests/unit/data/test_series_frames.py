"""Series from frames of pandas, polars and Arrow, and from Parquet files: missing cells, dates, and what is refused."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np
import pytest

from tidegate.data.series import read_series
from tidegate.data.table import read_table
from tidegate.errors import DataError

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
EVERY = pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
UTC = datetime.UTC
HOURS = [datetime.datetime(2020, 1, 1, hour) for hour in (0, 1, 2, 0)]
ROWS = {"id": ["a", "a", "a", "b"], "at": HOURS, "x": [1.5, None, 2.0, 4.0], "n": [1, 2, 3, 4], "kind": [7, 7, 7, 8]}


def refusal(source, **arguments):
    with pytest.raises(DataError) as caught:
        read_series(source, **arguments)
    return str(caught.value)


@EVERY
def test_a_frame_of_many_series(make):
    found = read_series(make(ROWS), id="id", time="at", label="kind")
    assert found.columns == ["x", "n"]
    np.testing.assert_array_equal(found.series[0].values, [[1.5, 1], [np.nan, 2], [2, 3]])
    assert [(one.id, one.label, list(one.lines)) for one in found.series] == [("a", "7", [1, 2, 3]), ("b", "8", [4])]
    assert found.series[0].times.tolist() == HOURS[:3]
    assert found.locate(1, 0).endswith(" frame, row 4") or found.locate(1, 0) == "pyarrow Table, row 4"


def test_the_sum_is_that_of_the_cells_whatever_the_library():
    rows = {name: cells for name, cells in ROWS.items() if name != "at"}
    sums = {read_series(make(rows), id="id").sha256 for make in MAKERS.values()}
    assert len(sums) == 1
    rows["x"] = [1.5, 0.0, 2.0, 4.0]
    assert read_series(pl.DataFrame(rows), id="id").sha256 not in sums


@pytest.mark.parametrize("zone", [None, UTC])
@EVERY
def test_dates_with_and_without_a_zone(make, zone):
    times = [datetime.datetime(2020, 1, day, 5, tzinfo=zone) for day in (1, 2)]
    found = read_series(make({"at": times, "x": [1, 2]}), time="at")
    assert [str(t) for t in found.series[0].times.astype("datetime64[h]")] == ["2020-01-01T05", "2020-01-02T05"]


def test_a_zone_is_turned_into_universal_time():
    times = pd.to_datetime(["2020-07-01T00:00", "2020-07-01T01:00"]).tz_localize("Europe/Paris")
    found = read_series(pd.DataFrame({"at": times, "x": [1, 2]}), time="at")
    assert str(found.series[0].times[0]) == "2020-06-30T22:00:00.000000"


def test_days_of_polars():
    days = [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]
    found = read_series(pl.DataFrame({"at": days, "x": [1, 2]}), time="at")
    assert str(found.series[0].times[1]) == "2020-01-02T00:00:00.000000"


def test_one_series_a_row_ends_where_a_frame_has_no_more():
    frame = pd.DataFrame({"kind": ["u", "v"], "a": [1.0, 3.0], "b": [2.0, np.nan], "c": [np.nan, np.nan]})
    found = read_series(frame, label="kind")
    assert [one.values[:, 0].tolist() for one in found.series] == [[1, 2], [3]]


def test_every_kind_of_missing_cell():
    frame = pd.DataFrame(
        {"a": pd.array([1, None], "Int64"), "b": [None, 2.5], "c": pd.array([pd.NA, 3.5], "Float64"), "d": [4, None]}
    )
    np.testing.assert_array_equal(
        read_series(frame).series[0].values, [[1, np.nan, np.nan, 4], [np.nan, 2.5, 3.5, np.nan]]
    )


def test_a_parquet_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parquet.write_table(pa.table(ROWS), "t.parquet")
    found = read_series("t.parquet", id="id", time="at", values=["x"])
    np.testing.assert_array_equal(found.series[0].values, [[1.5], [np.nan], [2]])
    assert found.series[0].times.tolist() == HOURS[:3]
    assert found.sha256 == hashlib.sha256((tmp_path / "t.parquet").read_bytes()).hexdigest()
    assert found.locate(1, 0) == "t.parquet, row 4"
    assert found.describe() == "long table, Parquet, 2 series of 1 to 3 steps, 1 channel, 1 missing value"


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (
            {"x": [True, False]},
            {},
            "polars frame, row 1: column 'x' holds booleans, such as True; expected numbers; convert it",
        ),
        (
            {"x": [1.0, 2.0], "s": ["a", "b"]},
            {},
            "polars frame, row 1: column 's' holds text, such as 'a'; expected numbers; convert it, or leave "
            "the column "
            "out: --values x",
        ),
        (
            {"x": [1.0, 2.0], "at": HOURS[:2]},
            {"values": ["x", "at"]},
            "polars frame, row 1: column 'at' holds dates, such as 2020-01-01 00:00:00; expected numbers; if it is the "
            "column of times, add --time at",
        ),
        (
            {"x": [1.0, 2.0], "at": HOURS[:2], "made": HOURS[:2]},
            {},
            "polars frame: the columns 'at', 'made' all hold times; name the one to use, or keep only that one",
        ),
        (
            {"x": [None, float("inf")]},
            {},
            "polars frame, row 2: column 'x' is inf; expected a finite number; leave the cell empty if it is unknown",
        ),
        (
            {"x": [2**53, 2**53 + 1]},
            {},
            "polars frame, row 2: column 'x' is 9007199254740993, which float64 cannot represent; correct it",
        ),
        (
            {"x": [1, 2], "id": ["a", None]},
            {"id": "id"},
            "polars frame, row 2: no id in column 'id'; fill it in, or remove the row",
        ),
        (
            {"x": [1, 2], "id": [None, 1.5]},
            {"id": "id", "values": ["x"]},
            "polars frame, row 1: no id in column 'id'; fill it in, or remove the row",
        ),
        (
            {"x": [1, 2], "id": [0.5, 1.5]},
            {"id": "id"},
            "polars frame, row 1: column 'id' holds 0.5; expected text or integers as id; convert the column",
        ),
        (
            {"x": [1, 2], "at": [0.5, 1.5]},
            {"time": "at"},
            "polars frame, row 1: column 'at' holds numbers, such as 0.5; expected an ISO 8601 date or time such as "
            "2020-01-31 or 2020-01-31T23:30:00+01:00, or an integer that counts steps",
        ),
        (
            {"x": [1, 2], "at": [HOURS[1], HOURS[0]]},
            {"time": "at"},
            "polars frame, row 2: column 'at' is 2020-01-01 00:00:00, after 2020-01-01 01:00:00 (polars frame, row 1); "
            "sort the rows by time, or set id to the column that identifies the series",
        ),
        ({"x": [1, 2]}, {"time": "at"}, "polars frame: no column 'at'; the table has 'x'"),
        (
            {"x": [[1], [2]]},
            {},
            "polars frame, row 1: column 'x' holds a list; expected text, integers, booleans, numbers or dates; "
            "convert it",
        ),
    ],
)
def test_frames_that_are_refused(columns, arguments, message):
    assert refusal(pl.DataFrame(columns), **arguments) == message


def test_pandas_cells_that_are_refused():
    mixed = pd.DataFrame({"x": pd.Series([1, "a"], dtype=object)})
    assert (
        refusal(mixed) == "pandas frame, row 2: column 'x' is 'a' among integers; give all cells of a column one type"
    )
    fine = pd.DataFrame({"at": pd.to_datetime([1, 2], unit="ns"), "x": [1, 2]})
    assert refusal(fine, time="at").endswith("finer than a microsecond; round the times")


def test_tables_of_texts_still_have_no_gaps():
    with pytest.raises(DataError) as caught:
        read_table(pl.DataFrame({"x": [1.0, None]}))
    assert str(caught.value) == "polars frame, row 2: no value in column 'x' (None); fill it or leave the row out"
    with pytest.raises(DataError, match="column 'at' holds a datetime; expected text"):
        read_table(pl.DataFrame({"at": HOURS}))


def test_polars_times_finer_than_a_microsecond_are_refused_not_cut():
    times = pl.Series("at", [1_000, 2_001]).cast(pl.Datetime("ns"))
    frame = pl.DataFrame({"at": times, "x": [1, 2]})
    message = "polars frame: column 'at' has times finer than a microsecond; round the times"
    assert refusal(frame, time="at") == message
    assert refusal(frame.with_columns(pl.col("at").dt.replace_time_zone("UTC")), time="at") == message
    whole = pl.DataFrame({"at": pl.Series([1_000, 2_000]).cast(pl.Datetime("ns")), "x": [1, 2]})
    assert read_series(whole, time="at").series[0].times.astype(int).tolist() == [1, 2]


def test_what_lies_in_the_index_of_a_pandas_frame_is_told():
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(HOURS[:2], name="at"))
    remedy = "it is the index of the frame: make it a column with reset_index()"
    message = f"pandas frame: no column 'at'; the {{}} has 'x'; {remedy}"
    assert refusal(frame, time="at") == message.format("table")
    assert refusal(frame, time="at", values=["x"]) == message.format("frame")
    assert len(read_series(frame.reset_index(), time="at").series[0]) == 2


def test_an_index_that_pandas_wrote_into_a_parquet_file_is_no_channel(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"x": [1.0, 2.0]}, index=[5, 7]).to_parquet(path)
    assert refusal(path) == (
        f"{path}: column '__index_level_0__' is the index of a pandas frame, not a channel; write the table without it "
        "(index=False), or name the columns of numbers with --values"
    )
    assert read_series(path, values=["x"]).columns == ["x"]


@EVERY
def test_ds_or_the_only_column_of_times_becomes_the_times(make):
    """For every library, and in text files too."""
    found = read_series(make({"at": HOURS[:2], "x": [1.0, 2.0]}))
    assert (found.columns, found.series[0].times.tolist()) == (["x"], HOURS[:2])
    assert "times in column 'at'" in found.form
    days = [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]
    assert read_series(make({"ds": days, "x": [1.0, 2.0]})).columns == ["x"]
    assert (
        refusal(make({"ds": days, "at": HOURS[:2], "x": [1.0, 2.0]}))
        .split("; expected")[0]
        .endswith("row 1: column 'at' holds dates, such as 2020-01-01 00:00:00")
    )


@EVERY
def test_columns_of_other_types_are_no_numbers(make):
    for cells, kind in (
        ([True, False], "row 1: column 'b' holds booleans, such as True; expected numbers; convert it"),
        (["1", "2"], "row 1: column 'b' holds text, such as '1'; expected numbers; convert it"),
        ([datetime.timedelta(1)] * 2, "expected text, integers, booleans, numbers or dates; convert it"),
    ):
        assert kind in refusal(make({"x": [1.0, 2.0], "b": cells}))


def test_categories_are_no_numbers_though_they_look_like_them():
    frame = pd.DataFrame({"x": [1.0, 2.0], "k": pd.Categorical([3, 5])})
    message = "column 'k' holds categories; expected numbers; convert it, or leave it out"
    assert refusal(frame).endswith(message)
    assert refusal(pa.table({"k": pa.array([3, 5]).dictionary_encode()})).endswith(message)
    assert read_series(frame, label="k", layout="rows").series[1].label == "5"

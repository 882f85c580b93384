"""Series from text files, with one step or one series per row; and the errors, word for word."""

from __future__ import annotations

import gzip
import hashlib
import json

import numpy as np
import pytest

from tidegate.data.series import read_series
from tidegate.errors import DataError, OptionError

NAN = float("nan")
LONG = """\
id,at,x,y,kind
a,2020-01-01,1,2,u
b,2020-01-01,3,,v
a,2020-01-02,NaN,4.5e1,u
b,2020-01-03,-5,NA,v
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return a function that writes a file into the working directory and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def plain(found):
    """Return the content of a collection as lists that can be compared; a missing value is None."""
    return [
        (one.id, [[None if v != v else v for v in step] for step in one.values.tolist()], one.label)
        for one in found.series
    ]


def times(one):
    return None if one.times is None else [str(t) for t in one.times.astype("datetime64[s]")]


def test_a_long_table_of_series_whose_rows_are_mixed(file):
    found = read_series(file("t.csv", LONG), id="id", time="at", label="kind")
    assert found.columns == ["x", "y"]
    assert plain(found) == [("a", [[1, 2], [None, 45]], "u"), ("b", [[3, None], [-5, None]], "v")]
    assert times(found.series[1]) == ["2020-01-01T00:00:00", "2020-01-03T00:00:00"]
    assert [list(one.lines) for one in found.series] == [[2, 4], [3, 5]]
    assert found.locate(1, 1) == "t.csv:5"
    assert {one.values.dtype for one in found.series} == {np.dtype(np.float64)}
    assert {one.times.dtype for one in found.series} == {np.dtype("datetime64[us]")}
    assert found.sha256 == hashlib.sha256(LONG.encode()).hexdigest()
    assert found.describe() == (
        "long table, comma-separated with header, UTF-8, 2 series of 2 steps, 2 channels, 3 missing values"
    )


def test_without_an_id_a_table_is_one_series(file):
    found = read_series(file("t.tsv", "x\ty\n1\t2\n3\t4\n"))
    assert plain(found) == [("", [[1, 2], [3, 4]], None)]
    assert found.series[0].times is None

    assert (
        found.describe() == "table, one step per row, tab-separated with header, UTF-8, 1 series of 2 steps, 2 channels"
    )


def test_ds_or_the_only_column_of_times_becomes_the_times(file):
    found = read_series(file("t.csv", "day,x\n2020-01-01,1\n2020-01-02,2\n"))
    assert (found.columns, times(found.series[0])) == (["x"], ["2020-01-01T00:00:00", "2020-01-02T00:00:00"])
    assert found.form.startswith("table, one step per row, times in column 'day'")
    counted = read_series(file("c.csv", "ds,x\n1,1\n4,2\n"))
    assert (counted.columns, counted.series[0].counts.tolist()) == (["x"], [1, 4])
    assert read_series(file("n.csv", "date,x\n20200101,1\n20200102,2\n")).columns == ["date", "x"]


def test_values_are_in_the_order_in_which_they_are_named(file):
    found = read_series(file("t.csv", LONG), id="id", values=["y", "x"])
    assert found.columns == ["y", "x"]
    assert plain(found)[0] == ("a", [[2, 1], [45, None]], None)


@pytest.mark.parametrize("packer", [lambda data: data, gzip.compress])
def test_json_lines_with_null_and_gaps(file, packer):
    rows = [{"i": 7, "x": 1.5}, {"i": 7, "x": None}, {"i": 7, "x": "2"}]
    data = packer("".join(json.dumps(row) + "\n" for row in rows).encode())
    found = read_series(file("t.jsonl.gz" if data[:1] == b"\x1f" else "t.jsonl", data), id="i")
    assert plain(found) == [("7", [[1.5], [None], [2]], None)]


def test_one_series_a_row_ends_with_its_last_value(file):
    found = read_series(file("w.csv", 'kind,V1,V2,V3\nu,"1",2,\nv,,4,5\nw,6,,NA\n'), label="kind")
    assert found.columns == ["value"]
    assert plain(found) == [("", [[1], [2]], "u"), ("", [[None], [4], [5]], "v"), ("", [[6]], "w")]
    assert (found.locate(1, 2), found.locate(2, 0)) == ("w.csv:3, step 3", "w.csv:4")
    assert found.describe() == (
        "table, one series per row, steps 'V1' to 'V3', comma-separated with header, UTF-8, 3 series of 1 to 3 steps, "
        "1 channel, 1 missing value"
    )


def test_one_series_a_row_with_ids(file):
    found = read_series(file("w.csv", "V1,V2,V3\nH1,1,2\nH2,3,\n"), id="V1", layout="rows")
    assert plain(found) == [("H1", [[1], [2]], None), ("H2", [[3]], None)]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [({}, 1), ({"label": "k"}, 4), ({"label": "k", "layout": "steps"}, 1), ({"layout": "rows", "values": ["x"]}, 4)],
)
def test_which_layout_is_taken(file, arguments, count):
    text = "k,x,y\n1,1,0\n1,2,0\n1,3,0\n1,4,0\n"
    assert len(read_series(file("t.csv", text), **arguments)) == count


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2020-01-01T10:00", "2020-01-01 11:00:30.5"], ["2020-01-01T10:00:00", "2020-01-01T11:00:30"]),
        (["2020-03-29T01:30+01:00", "2020-03-29T03:30+02:00"], ["2020-03-29T00:30:00", "2020-03-29T01:30:00"]),
        (
            ["2020-01-01T10:00:00.0000000", "2020-01-01 11:00:00.1230000"],
            ["2020-01-01T10:00:00", "2020-01-01T11:00:00"],
        ),
        (["2020-01-01T10:00:00.0000000+01:00"], ["2020-01-01T09:00:00"]),
        (["2020-01-01T00:00Z", "2020-01-01T00:00-01:00"], ["2020-01-01T00:00:00", "2020-01-01T01:00:00"]),
        (["0", "7"], None),
        (["-3", "+12"], None),
    ],
)
def test_times_of_every_kind(file, cells, expected):
    found = read_series(file("t.csv", "at,x\n" + "".join(f"{cell},1\n" for cell in cells)), time="at")
    assert times(found.series[0]) == expected


def test_times_ascend_in_each_series_apart(file):
    found = read_series(file("t.csv", "id,at,x\na,5,1\nb,2,1\na,6,1\nb,3,1\n"), id="id", time="at")
    assert [len(one) for one in found.series] == [2, 2]


SORT = "sort the rows by time, or set id to the column that identifies the series"
ONCE = "expected each time once in a series; remove one, or set id to the column that identifies the series"
ISO = (
    "expected an ISO 8601 date or time such as 2020-01-31 or 2020-01-31T23:30:00+01:00, or an integer that counts steps"
)
NUMBER = "expected a number such as -1.5 or 2e3; correct it"
FINITE = "expected a finite number; leave the cell empty if it is unknown"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["2020-01-02", "2020-01-01"], f"t.csv:3: column 'at' is '2020-01-01', after '2020-01-02' (t.csv:2); {SORT}"),
        (["9", "10", "10"], f"t.csv:4: column 'at' is '10', the same time as '10' (t.csv:3); {ONCE}"),
        (
            ["2020-01-01T01:00+01:00", "2020-01-01T00:00Z"],
            "t.csv:3: column 'at' is '2020-01-01T00:00Z', the same time as '2020-01-01T01:00+01:00' (t.csv:2); " + ONCE,
        ),
        (
            ["2020-01-01", "2020-01-02", "2020-01-03T00:00Z"],
            "t.csv:4: column 'at' is '2020-01-03T00:00Z', which has a zone, but '2020-01-01' has none (t.csv:2); "
            "write all of them in the same way",
        ),
        (
            ["2020-01-01T00Z", "2020-01-02"],
            "t.csv:3: column 'at' is '2020-01-02', which has no zone, but '2020-01-01T00Z' has one (t.csv:2); "
            "write all of them in the same way",
        ),
        (["2020-01-01", ""], "t.csv:3: no time in column 'at'; fill it in, or remove the row"),
        (["1/2/2020"], f"t.csv:2: column 'at' is '1/2/2020'; {ISO}"),
        (["1", "2.5"], f"t.csv:3: column 'at' is '2.5'; {ISO}"),
        (
            ["2020-01-01T00:00:00.0000001"],
            "t.csv:2: column 'at' is '2020-01-01T00:00:00.0000001', finer than a microsecond; round the times",
        ),
        (
            ["0001-01-01T00:00+01:00"],
            "t.csv:2: column 'at' is '0001-01-01T00:00+01:00', outside of the years 1 to 9999 in UTC; correct it",
        ),
        (
            ["1" * 30],
            f"t.csv:2: column 'at' is '{'1' * 30}'; a counter may have at most 18 digits; start it closer to 0",
        ),
    ],
)
def test_times_that_are_refused(file, cells, message):
    name = file("t.csv", "at,x\n" + "".join(f"{cell},1\n" for cell in cells))
    with pytest.raises(DataError) as caught:
        read_series(name, time="at")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("x,y\n1,2\n3,four\n", {}, f"t.csv:3: column 'y' is 'four'; {NUMBER}, or leave the column out: --values x"),
        ("x,y\n1,2\n3,four\n", {"values": ["y"]}, f"t.csv:3: column 'y' is 'four'; {NUMBER}"),
        ("x\n1_000\n", {}, f"t.csv:2: column 'x' is '1_000'; {NUMBER}"),
        ("x\n1\n\u0661\n", {}, f"t.csv:3: column 'x' is '\u0661'; {NUMBER}"),
        ("a b,y,z\n1,2,u\n", {}, f"t.csv:2: column 'z' is 'u'; {NUMBER}, or leave the column out: --values \"a b,y\""),
        ("x\ntrue\n", {}, f"t.csv:2: column 'x' is 'true'; {NUMBER}"),
        ("x\n1\n-inf\n", {}, f"t.csv:3: column 'x' is '-inf'; {FINITE}"),
        ("x,y\n1,Infinity\n", {}, f"t.csv:2: column 'y' is 'Infinity'; {FINITE}"),
        ("x\n1e400\n", {}, "t.csv:2: column 'x' is '1e400', which float64 cannot represent; correct it"),
        (
            "x\n-nan\n",
            {},
            "t.csv:2: column 'x' is '-nan'; expected a number, or an empty cell, nan, NaN or NA if it is "
            "missing; correct it",
        ),
        ("x\n1\n\n2\n", {}, "t.csv:3: the line is empty; write NA for a missing value, or leave the line out"),
        (
            "k,x\na,1\na,2\nb,3\n",
            {"label": "k", "layout": "steps"},
            "t.csv:4: column 'k' is 'b', but the series has 'a' before (t.csv:2); a series has one label; correct it, "
            "or set id to the column that identifies the series",
        ),
        (
            "i,k,x\n1,a,1\n2,a,2\n1,b,3\n",
            {"id": "i", "label": "k"},
            "t.csv:4: column 'k' is 'b', but series '1' has 'a' before (t.csv:2); a series has one label; correct it",
        ),
        ("i,x\na,1\n,2\n", {"id": "i"}, "t.csv:3: no id in column 'i'; fill it in, or remove the row"),
        ("k,x\na,1\n,2\n", {"label": "k"}, "t.csv:3: no label in column 'k'; fill it in, or remove the row"),
        (
            "i,x\na,1\na,2\n",
            {"id": "i", "layout": "rows"},
            "t.csv:3: column 'i' is 'a', the same as in t.csv:2; in the layout rows a series is one row; "
            "rename one, or set the layout to steps",
        ),
        ("k,x,y\na,1,2\nb,,NA\n", {"label": "k"}, "t.csv:3: the row has no values; add some, or remove the row"),
        ("k\na\n", {"label": "k"}, "t.csv: there is no column of values; name one or more with --values"),
        ("x,y\n1,2\n", {"time": "z"}, "t.csv: no column 'z'; the file has 'x', 'y'"),
        ("x,y\n1,2\n", {"values": ["x", "z"]}, "t.csv: no column 'z'; the file has 'x', 'y'"),
        ("x,x\n1,2\n", {}, "t.csv:1: columns 1 and 2 of the header are both 'x'; rename one"),
        ("x\n", {}, "t.csv has a header but no rows; add at least one row"),
    ],
)
def test_tables_that_are_refused(file, text, arguments, message):
    with pytest.raises(DataError) as caught:
        read_series(file("t.csv", text), **arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "columns"}, "unknown layout 'columns'; choose one of steps, rows"),
        ({"values": []}, "values is empty; name one or more columns, or leave it out for all of them"),
        ({"values": "x"}, "values is the text 'x'; expected a list of columns, such as ['x']"),
        ({"values": ["x", "y", "x"]}, "values names the column 'x' twice; name it once"),
        ({"time": "x", "id": "x"}, "column 'x' is both time and id; give it one role"),
        ({"label": "x", "values": ["y", "x"]}, "column 'x' is both label and value; give it one role"),
        (
            {"layout": "rows", "time": "x"},
            "time is 'x', but with the layout rows a row is a whole series; leave out one of the two",
        ),
    ],
)
def test_arguments_that_are_refused(file, arguments, message):
    with pytest.raises(OptionError) as caught:
        read_series(file("t.csv", "x,y\n1,2\n"), **arguments)
    assert str(caught.value) == message


def test_json_lines_that_are_refused(file):
    with pytest.raises(DataError) as caught:
        read_series(file("t.jsonl", '{"x": 1}\n{"x": true}\n'))
    assert str(caught.value) == "t.jsonl:2: 'x' is a boolean; expected a string or a number"


def test_a_long_list_of_columns_is_not_printed(file):
    names = [f"x{i}" for i in range(20)]
    text = ",".join([*names, "word"]) + "\n" + "1," * 20 + "abc\n"
    with pytest.raises(DataError, match="or leave the column out: --values NAME,NAME,"):
        read_series(file("t.csv", text))


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("22262", "22262, only numbers"),
        ("0.1,0.5", "0.1, 0.5, only numbers"),
        ("1,-0.5,-0.5,2", "1, -0.5, -0.5, 2, only numbers"),  # UCR's files: label and values
        ("2020-01-01,0.5", "2020-01-01, 0.5, only numbers and dates"),
        ("2,2,2", "2, 2, 2, only numbers"),
    ],
)
def test_a_first_row_of_numbers_is_not_lost_as_a_header(file, header, shown):
    name = file("t.csv", f"{header}\n{header}\n")
    for arguments in ({}, {"label": "label"}):
        with pytest.raises(DataError) as caught:
            read_series(name, **arguments)
        assert str(caught.value) == (
            f"t.csv:1: the header is {shown}, so it may be the first row; put the names of the columns on the first "
            "line; if these are the names, add a letter to them"
        )


@pytest.mark.parametrize("header", ["0", "1", "0,1", "2001,2002,2003", "400.5,401,401.5", "3,2,1", "2020-01,x", "1,x"])
def test_names_that_count_or_lie_evenly_apart(file, header):
    found = read_series(file("t.csv", header + "\n" + ",".join("5" for _ in header.split(",")) + "\n"))
    assert found.columns == header.split(",")


@pytest.mark.parametrize("arguments", [{}, {"time": "time"}, {"values": ["load"]}])
@pytest.mark.parametrize("text", ["time;load\n2020-01-01;5\n", "time;load\n2020-01-01;5,3\n", "time;load\n1;\n"])
def test_a_csv_with_semicolons_is_told_so(file, text, arguments):
    with pytest.raises(DataError) as caught:
        read_series(file("t.csv", text), **arguments)
    expected = "a .csv has commas and a .tsv tabs; save or rename it so"
    assert str(caught.value) == f"t.csv:1: the header is 'time;load', separated by ';'; {expected}"


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (
            "a\n1\nN/A\n",
            {},
            "t.csv:3: column 'a' is 'N/A'; expected a number, or an empty cell, nan, NaN or NA "
            "if it is missing; correct it",
        ),
        (
            "at,a\n2020-01-31 13:00,1\n",
            {"values": ["at", "a"]},
            "t.csv:2: column 'at' is '2020-01-31 13:00'; expected a number such as -1.5 or "
            "2e3; if it is the column of times, add --time at",
        ),
        (
            "at,a,to\n2020-01-31,1,2020-02-01\n",
            {},
            "t.csv: the columns 'at', 'to' all hold times; name the one to use, or keep only that one",
        ),
        (
            "k,t1,t2,age,t3\na,1,2,3,4\n",
            {"label": "k"},
            "t.csv: in the layout rows each column is a step, such as 't1' to 't3', but 'age' is not; set it as id or "
            "label, or name the columns of steps with --values",
        ),
        (
            "k,t1,t10,t2\na,1,2,3\n",
            {"label": "k"},
            "t.csv: column 't2' comes after 't10', but in the layout rows each is a step; put the columns in "
            "the order of time, or name them in that order with --values",
        ),
        (
            "Unnamed: 0,a\n0,1\n1,1\n",
            {},
            "t.csv: column 'Unnamed: 0' is the index of a pandas frame, not a channel; write the "
            "table without it (index=False), or name the columns of numbers with --values",
        ),
        (
            ",a\n0,1\n",
            {},
            "t.csv:1: column 1 of the header has no name (the index of pandas? to_csv(index=False) "
            "leaves it out); name it or remove it",
        ),
        (
            "id,x,label\np,1,a\np,2,b\n",
            {"id": "id", "label": "label"},
            "t.csv:3: column 'label' is 'b', but series 'p' "
            "has 'a' before (t.csv:2); a series has one label; correct it",
        ),
        (
            "id,x,label\np,1,a\np,2,b\n",
            {"values": ["x"], "label": "label"},
            "t.csv: each of the 2 rows would be a series of "
            "one step; set id to the column that identifies the series, or layout to rows",
        ),
    ],
)
def test_what_users_files_have_and_what_to_do(file, text, arguments, message):
    with pytest.raises(DataError) as caught:
        read_series(file("t.csv", text), **arguments)
    assert str(caught.value) == message


def test_an_index_that_is_named_as_a_value_and_rows_of_one_step_that_are_asked_for(file):
    name = file("t.csv", "Unnamed: 0,a,label\n0,1,p\n1,1,q\n")
    assert read_series(name, values=["Unnamed: 0"]).series[0].values.tolist() == [[0], [1]]
    assert len(read_series(name, values=["a"], label="label", layout="rows")) == 2


def test_disorder_within_series_that_are_told_apart_names_no_id(file):
    name = file("t.csv", "id,at,x\na,2,1\nb,1,1\na,1,2\n")
    with pytest.raises(DataError) as caught:
        read_series(name, time="at", id="id")
    assert str(caught.value) == "t.csv:4: column 'at' is '1', after '2' (t.csv:2); sort the rows by time"


def test_a_number_that_could_be_a_compact_date_is_a_number(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\na,8796093022200.0\n")
    assert read_series(tmp_path / "t.csv", id="id").columns == ["x"]

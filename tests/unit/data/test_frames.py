"""Frames of pandas and polars: the same table from both, and clear errors for anything else."""

import datetime
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from tidegate.data.table import read_table
from tidegate.errors import DataError, MissingExtra

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

ROWS = {"text": ["hi", "na\u00efve \u4e16"], "label": ["a", "b"], "n": [1, -2], "x": [0.1, 2.5], "on": [True, False]}
BOTH = pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])


@BOTH
def test_columns_of_every_kind(make):
    table = read_table(make(ROWS))
    assert table.columns == ROWS
    assert {name: {type(c) for c in cells} for name, cells in table.columns.items()} == {
        "text": {str},
        "label": {str},
        "n": {int},
        "x": {float},
        "on": {bool},
    }
    assert [table.kind(name) for name in ROWS] == ["text", "text", "integers", "numbers", "booleans"]
    assert (table.lines, table.form, table.unit, len(table)) == ([1, 2], "", "row", 2)
    assert table.labels("n") == ["1", "-2"]
    assert table.labels("on") == ["true", "false"]
    assert table.numbers("x").tolist() == [0.1, 2.5]
    assert table.numbers("n").dtype == np.float64


def test_the_sum_is_that_of_the_columns_that_were_read_whatever_the_library():
    lines = [json.dumps([k, ROWS[k]], ensure_ascii=False, separators=(",", ":")) + "\n" for k in ("label", "text")]
    want = hashlib.sha256("".join(lines).encode()).hexdigest()
    for frame in (pd.DataFrame(ROWS), pl.DataFrame(ROWS), pd.DataFrame(ROWS, index=[7, 7])):
        assert read_table(frame, ["label", "text"]).sha256 == want
    for other in ({**ROWS, "text": ["hi", "na\u00efve"]}, {**ROWS, "label": ["b", "a"]}):
        assert read_table(pd.DataFrame(other), ["label", "text"]).sha256 != want
    assert read_table(pd.DataFrame({**ROWS, "n": [3, 4]}), ["label", "text"]).sha256 == want
    assert read_table(pd.DataFrame({"a": ["1"]})).sha256 != read_table(pd.DataFrame({"a": [1]})).sha256


def test_kinds_of_text_in_either_library():
    words = ["x", "y", "x"]
    for kind in ("object", "string", "category"):
        assert read_table(pd.DataFrame({"a": pd.Series(words, dtype=kind)})).columns == {"a": words}
    for kind in (pl.String, pl.Categorical, pl.Enum(["x", "y"])):
        assert read_table(pl.DataFrame({"a": pl.Series(words, dtype=kind)})).columns == {"a": words}
    assert read_table(pd.DataFrame({"a": pd.Categorical([3, 4])})).labels("a") == ["3", "4"]
    assert read_table(pd.DataFrame({"a": pd.array([3, 4], dtype="Int64")})).labels("a") == ["3", "4"]
    assert read_table(pd.DataFrame({"a": np.array([np.int64(3), np.int8(4)], object)})).labels("a") == ["3", "4"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NaT, pd.NA, float("nan")])
def test_a_missing_cell_names_row_and_column(missing):
    labels = pd.Series(["a", "b", missing], dtype=object)
    frame = pd.DataFrame({"text": ["hi", "yo", "ho"], "label": labels}).set_axis([9, 8, 7])
    with pytest.raises(DataError) as caught:
        read_table(frame)
    shown = "None" if missing is None else str(missing)
    want = f"pandas frame, row 3: no value in column 'label' ({shown}); fill it or leave the row out"
    assert str(caught.value) == want
    assert read_table(frame, ["text"]).columns == {"text": ["hi", "yo", "ho"]}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"a": ["x", None]}), "polars frame, row 2: no value in column 'a' (None)"),
        (pl.DataFrame({"a": [1.0, float("nan")]}), "polars frame, row 2: no value in column 'a' (nan)"),
        (pd.DataFrame({"a": [1, None]}), "pandas frame, row 2: no value in column 'a' (nan)"),
        (pd.DataFrame([["x", "y"]], columns=["a", "a"]), "pandas frame: columns 1 and 2 are both 'a'; rename one"),
        (pd.DataFrame([["x", "y"]]), "pandas frame: the name of column 1 is 0, which is not text; rename it"),
        (
            pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
            "pandas frame: its columns have 2 levels, such as ('a', 'b'); give each column one name",
        ),
        (pd.DataFrame({"a": ["x", 3]}), "pandas frame, row 2: column 'a' is 3 among text; give all cells of a column"),
        (pd.DataFrame({"a": ["x", b"y"]}), "pandas frame, row 2: column 'a' holds a bytes; expected text, integers"),
        (pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), "pandas frame, row 1: column 'a' holds a Timestamp"),
        (pl.DataFrame({"a": [datetime.date(2020, 1, 1)]}), "polars frame, row 1: column 'a' holds a date; expected"),
        (pl.DataFrame({"a": [["x"]]}), "polars frame, row 1: column 'a' holds a list; expected"),
        (pl.DataFrame({"a": [{"b": 1}]}), "polars frame, row 1: column 'a' holds a dict; expected"),
        (
            pd.DataFrame({"a": pd.Series(["x", "\ud800"], dtype=object)}),
            "pandas frame, row 2: column 'a' contains half of a surr",
        ),
        (pd.DataFrame({"a": []}), "pandas frame has no rows; add at least one row"),
        (pd.DataFrame(), "pandas frame has no rows"),
        (pd.Series(["x"]), "found a pandas Series; expected a path, or a frame of pandas, polars or Arrow"),
        (pl.Series(["x"]), "found a polars Series; expected a path"),
        (
            pl.DataFrame({"a": ["x"]}).lazy(),
            "found a polars LazyFrame; expected a path, or a frame of pandas, polars or ",
        ),
        ({"a": ["x"]}, "found a dict; expected a path, or a frame"),
        (b"t.csv", "found a bytes; expected a path"),
        (None, "found a NoneType; expected a path"),
    ],
)
def test_what_is_no_table(frame, message):
    with pytest.raises(DataError) as caught:
        read_table(frame)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@BOTH
def test_a_column_that_is_not_there(make):
    with pytest.raises(DataError, match=r"frame: no column 'lable'; the frame has 'text', .*did you mean 'label'\?"):
        read_table(make(ROWS), ["lable"])


@BOTH
def test_a_column_of_another_kind_than_is_needed(make):
    table = read_table(make(ROWS))
    with pytest.raises(
        DataError, match=r"frame, row 1: column 'n' holds integers, such as 1; expected text; name another"
    ):
        table.column("n")
    with pytest.raises(
        DataError, match=r"row 1: column 'x' holds numbers, such as 0\.1; expected text, integers or booleans as l"
    ):
        table.labels("x")
    with pytest.raises(DataError, match=r"column 'on' holds booleans; expected numbers"):
        table.numbers("on")
    with pytest.raises(DataError, match=r"frame, row 1: column 'text' is 'hi'; expected a number such as"):
        table.numbers("text")


def test_numbers_that_float64_cannot_hold():
    for cell in (2**53 + 1, 10**400):
        with pytest.raises(DataError, match="row 1: column 'n' is .*, which float64 cannot represent"):
            read_table(pd.DataFrame({"n": pd.Series([cell], dtype=object)})).numbers("n")
    assert read_table(pd.DataFrame({"n": [2**53]})).numbers("n").tolist() == [2.0**53]


def test_a_frame_of_a_class_of_ones_own():
    class Own(pd.DataFrame):
        pass

    assert read_table(Own({"a": ["x"]})).path == "pandas frame"


def test_neither_library_is_imported_for_a_file(tmp_path):
    (tmp_path / "t.csv").write_text("a\nx\n")
    code = (
        "import sys; from tidegate.data.table import read_table; read_table(sys.argv[1]); "
        "assert not {'pandas', 'polars', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "t.csv")], check=True)


def test_arrow_without_pyarrow(monkeypatch):
    class Capsule:
        def __arrow_c_stream__(self, requested_schema=None):
            raise AssertionError("not asked")

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        MissingExtra, match=r'test_frames Capsule: reading Arrow needs pyarrow, .*"tidegate\[parquet\]"'
    ):
        read_table(Capsule())
    assert read_table(pd.DataFrame({"a": ["x"]})).columns == read_table(pl.DataFrame({"a": ["x"]})).columns

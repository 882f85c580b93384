"""Parquet files and Arrow tables, read by pyarrow."""

import datetime
import decimal
import hashlib
import subprocess
import sys
import tracemalloc

import pytest

from tidegate.data import arrow, compression
from tidegate.data.table import read_table
from tidegate.errors import DataError, MissingExtra

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROWS = {"text": ["hi", "na\u00efve \u4e16"], "label": ["a", "b"], "n": [1, -2], "x": [0.5, 2.5], "on": [True, False]}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(rows, **options):
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.table(rows), "t.parquet", **options)
    return "t.parquet"


def test_columns_of_every_kind(here):
    table = read_table(written(ROWS))
    assert table.columns == ROWS
    assert [table.kind(name) for name in ROWS] == ["text", "text", "integers", "numbers", "booleans"]
    assert table.sha256 == hashlib.sha256((here / "t.parquet").read_bytes()).hexdigest()
    assert (table.form, table.locate(1), table.describe()) == ("Parquet", "t.parquet, row 2", "Parquet, 2 rows")
    assert read_table("t.parquet", ["on", "text"]).columns == {"on": ROWS["on"], "text": ROWS["text"]}


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_kinds_of_text(kind):
    words = pa.array(["x", "y", "x"], kind)
    assert read_table(pa.table({"a": words})).columns == {"a": ["x", "y", "x"]}
    if not pa.types.is_string_view(kind):
        assert read_table(written({"a": words})).columns == {"a": ["x", "y", "x"]}


def test_a_dictionary_of_integers_is_one_of_labels():
    assert read_table(written({"a": pa.array([30, 4, 30]).dictionary_encode()})).labels("a") == ["30", "4", "30"]


def test_rows_of_many_groups_keep_their_numbers():
    words = [f"w{i}" for i in range(10_000)]
    assert read_table(written({"a": words}, row_group_size=999)).columns == {"a": words}
    words[7_777] = None
    with pytest.raises(DataError, match=r"^t\.parquet, row 7778: no value in column 'a' \(None\); fill it or leave"):
        read_table(written({"a": words}, row_group_size=999))


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([["x"]]), "list<"),
        (pa.array([{"b": 1}]), "struct<"),
        (pa.array([datetime.datetime(2020, 1, 1)], pa.timestamp("ns")), r"timestamp\[ns\]"),
        (pa.array([decimal.Decimal("1.5")]), "decimal128"),
        (pa.array([b"x"]), "binary"),
        (pa.array([b"x"]).dictionary_encode(), "dictionary<values=binary"),
    ],
)
def test_other_types_are_refused_where_they_are_asked_for(array, kind):
    path = written({"a": array, "text": ["hi"]})
    assert read_table(path, ["text"]).columns == {"text": ["hi"]}
    with pytest.raises(
        DataError, match=rf"^t\.parquet: column 'a' is of type {kind}.*; expected text, integers, boole"
    ):
        read_table(path)


def test_columns_that_are_missing_or_there_twice():
    with pytest.raises(
        DataError, match=r"^t\.parquet: no column 'texts'; the file has 'text', .*did you mean 'text'\?"
    ):
        read_table(written(ROWS), ["texts"])
    twice = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    for source in (written(twice), twice):
        with pytest.raises(DataError, match="columns 1 and 2 are both 'a'; rename one"):
            read_table(source)
    with pytest.raises(DataError, match=r"t\.parquet has no rows"):
        read_table(written({"a": pa.array([], pa.string())}))


def test_damage_is_one_sentence(here):
    data = (here / written({"a": [f"word {i}" for i in range(50)]})).read_bytes()
    said = []
    for i in range(0, len(data), 7):
        for wrong in (data[:i], data[:i] + bytes([data[i] ^ 0x55]) + data[i + 1 :]):
            (here / "t.parquet").write_bytes(wrong)
            try:
                read_table("t.parquet")
            except DataError as error:
                said.append(str(error))
    assert len(said) > len(data) // 7
    assert [sentence for sentence in said if not sentence.startswith("t.parquet") or "\n" in sentence] == []


EVERY_BYTE = """
import sys
from tidegate.data.arrow import read_parquet
from tidegate.errors import DataError
data = sys.stdin.buffer.read()
for at in range(len(data)):
    for byte in (0, 17, 126):
        try:
            read_parquet(data[:at] + bytes([byte]) + data[at + 1 :], "t.parquet", ["text", "label"], str)
        except DataError:
            pass
"""


def test_no_damage_ends_the_process(here):
    pq.write_table(pa.table({"text": ["hello", "good bye"] * 20, "label": [1, 2] * 20}), "t.parquet")
    done = subprocess.run([sys.executable, "-c", EVERY_BYTE], input=(here / "t.parquet").read_bytes(), check=False)
    assert done.returncode == 0


def test_text_that_is_not_utf8_names_its_row(here):
    data = (here / written({"a": ["aaaa", "b\u00e9bb"]}, compression="none", use_dictionary=False)).read_bytes()
    (here / "t.parquet").write_bytes(data.replace("b\u00e9bb".encode(), b"b\xff\xffbb"))
    with pytest.raises(DataError, match=r"^t\.parquet, row 2: column 'a' is not UTF-8; write it as UTF-8 text"):
        read_table("t.parquet")


def test_a_column_whose_name_is_not_utf8(here):
    data = (here / written({"the name": ["x"]})).read_bytes()
    (here / "t.parquet").write_bytes(data.replace(b"the name", b"the n\xffme"))
    with pytest.raises(
        DataError, match=r"^t\.parquet is not a complete Parquet file \('utf-8' codec can't decode.*; write it again"
    ):
        read_table("t.parquet")


@pytest.mark.parametrize(
    "array", [["x" * 100] * 200_000, pa.nulls(1_000_000), pa.array(["x" * 100] * 200_000).dictionary_encode()]
)
def test_a_bomb_is_refused(array, monkeypatch):
    monkeypatch.setattr(compression, "ALWAYS_ALLOWED", 2 * compression.MEGA)
    with pytest.raises(DataError, match=r"t\.parquet unpacks to more than \d+ MB, which is over 200 times its size"):
        read_table(written({"a": array}))


@pytest.mark.slow
def test_a_long_value_that_stands_once_for_many_rows_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(compression, "ALWAYS_ALLOWED", 2 * compression.MEGA)
    monkeypatch.setattr(arrow, "ALWAYS_ALLOWED", 2 * compression.MEGA)
    path = written({"a": ["x" * 100_000] * 4000})
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="unpacks to more than 2 MB"):
            read_table(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * compression.MEGA
    finally:
        tracemalloc.stop()


def test_without_pyarrow(monkeypatch):
    path = written(ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    want = 't.parquet: reading Parquet needs pyarrow, which is not installed; pip install "tidegate[parquet]"'
    with pytest.raises(MissingExtra) as caught:
        read_table(path)
    assert str(caught.value) == want


def test_arrow_tables_and_what_speaks_arrow():
    table = pa.table(ROWS)
    want = read_table(table)
    assert (want.path, want.columns, want.locate(0)) == ("pyarrow Table", ROWS, "pyarrow Table, row 1")

    class Capsule:
        def __arrow_c_stream__(self, requested_schema=None):
            return table.__arrow_c_stream__(requested_schema)

    assert read_table(Capsule()).sha256 == want.sha256
    assert read_table(table.to_batches()[0]).sha256 == want.sha256
    pd = pytest.importorskip("pandas")
    assert read_table(pd.DataFrame(ROWS)).sha256 == want.sha256


def test_a_stream_that_is_no_table():
    class Capsule:
        def __arrow_c_stream__(self, requested_schema=None):
            return pa.chunked_array([[1]]).__arrow_c_stream__()

    with pytest.raises(DataError, match=r"test_parquet Capsule is not a table \(.*\); give one with columns"):
        read_table(Capsule())

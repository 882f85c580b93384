"""Tables written by the standard library are read back; any bytes give a table or one clear error."""

import bz2
import csv
import gzip
import io
import json
import lzma

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.data.table import read_table
from tidegate.errors import DataError

PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
cells = st.text(st.one_of(st.sampled_from('a,"\n\r\t é世'), st.characters(exclude_categories=["Cs"])), max_size=12)
cells = cells.filter(lambda cell: "\0" not in cell)
tables = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=6)
)
anything = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anything
@given(tables)
def test_csv_comes_back(tmp_path, rows):
    names = [f"c{index}" for index in range(len(rows[0]))]
    file = io.StringIO(newline="")
    csv.writer(file).writerows([names, *rows])
    (tmp_path / "t.csv").write_bytes(file.getvalue().encode())
    table = read_table(tmp_path / "t.csv")
    assert [list(row) for row in zip(*table.columns.values(), strict=True)] == rows


@anything
@given(tables)
def test_json_lines_come_back(tmp_path, rows):
    lines = [json.dumps({f"c{index}": cell for index, cell in enumerate(row)}) for row in rows]
    (tmp_path / "t.jsonl").write_text("\n".join(lines), "utf-8")
    table = read_table(tmp_path / "t.jsonl")
    assert [list(row) for row in zip(*table.columns.values(), strict=True)] == rows
    assert table.lines == list(range(1, len(rows) + 1))


@anything
@given(tables, st.sampled_from([".gz", ".bz2", ".xz"]), st.integers(0, 200))
def test_compressed_tables_are_those_that_were_packed(tmp_path, rows, packer, cut):
    names = [f"c{index}" for index in range(len(rows[0]))]
    file = io.StringIO(newline="")
    csv.writer(file).writerows([names, *rows])
    data, pack = file.getvalue().encode(), PACKERS[packer]
    (tmp_path / "t.csv").write_bytes(data)
    (tmp_path / f"t.csv{packer}").write_bytes(b"".join(pack(part) for part in (data[:cut], data[cut:]) if part))
    whole, packed = read_table(tmp_path / "t.csv"), read_table(tmp_path / f"t.csv{packer}")
    assert (packed.columns, packed.lines) == (whole.columns, whole.lines)


@anything
@given(st.binary(max_size=80), st.sampled_from([".gz", ".bz2", ".xz"]), st.integers(0, 80), st.integers(0, 255))
def test_a_changed_byte_of_an_archive_gives_the_same_table_or_one_sentence(tmp_path, noise, packer, at, byte):
    data = bytearray(PACKERS[packer](b"text,label\nhello there,a\n"))
    data[at % len(data)] = byte
    path = tmp_path / f"t.csv{packer}"
    path.write_bytes(bytes(data) + noise)
    try:
        message = "" if read_table(path).columns == {"text": ["hello there"], "label": ["a"]} else "another table"
    except DataError as error:
        message = str(error)
    assert message == "" or message.startswith(str(path))
    assert "\n" not in message


@anything
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes_of_a_parquet_file_give_a_table_or_one_sentence(tmp_path, changes):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"text": ["hello", "good bye"] * 20, "label": [1, 2] * 20}), path)
    data = bytearray(path.read_bytes())
    for at, byte in changes:
        data[at % len(data)] = byte
    path.write_bytes(data)
    try:
        table = read_table(path)
    except DataError as error:
        message = str(error)
    else:
        message = str(path)
        assert {len(column) for column in table.columns.values()} == {len(table)}
    assert message.startswith(str(path))
    assert "\n" not in message


@anything
@given(st.one_of(st.binary(max_size=60), st.text('ab,"\n\t{}:[]1', max_size=60).map(str.encode)))
def test_any_bytes_give_a_table_or_one_sentence(tmp_path, content):
    for suffix in ("csv", "tsv", "jsonl"):
        path = tmp_path / f"t.{suffix}"
        path.write_bytes(content)
        try:
            table = read_table(path)
        except DataError as error:
            message = str(error)
        else:
            message = str(path)
            assert len(table) == len(table.lines) > 0
            assert {len(column) for column in table.columns.values()} == {len(table)}
        assert message.startswith(str(path))
        assert "\n" not in message

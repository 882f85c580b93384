"""Lines and fields that are too long are refused before they are parsed, with place, size and limit."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from pathlib import Path

import pytest

from tidegate.data.table import read_table
from tidegate.errors import DataError
from tidegate.files import MAX_LINE

LONG = "a" * (MAX_LINE + 1)
MEGA = "b" * 999_999 + "\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", f"text,label\nhi,a\n{LONG},b\n"),
        ("t.tsv", f"text\tlabel\nhi\ta\n{LONG}\tb\n"),
        ("t.jsonl", '{"text": "hi"}\n\n' + json.dumps({"text": LONG}) + "\n"),
        ("t.csv.gz", f"text,label\rhi,a\r{LONG},b\r"),
    ],
)
def test_a_line_that_is_too_long_is_refused_with_its_size_and_the_limit(tmp_path: Path, name: str, text: str) -> None:
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data, 1) if name.endswith(".gz") else data)
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            read_table(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 3.5 * len(data)
    finally:
        tracemalloc.stop()
    line, size = (1 if name.endswith(".gz") else 3), len(data.replace(b"\r", b"\n").strip().split(b"\n")[-1])
    assert f"{name}:{line}: the line has {size:,} bytes; a line may have at most 16,000,000" in str(caught.value)


def test_a_field_that_is_too_long_is_refused_with_its_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,label\nhi,a\n"ho,",1,"' + MEGA * 20)
    with pytest.raises(
        DataError, match=r"t\.csv:3: column 3 of the row that begins here has 1\d,000,000 characters or"
    ):
        read_table(tmp_path / "t.csv")


def test_the_longest_line_that_is_allowed_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\nhi,a\n" + LONG[: MAX_LINE - 3] + ",b\n" + "hi,a\n")
    assert [len(text) for text in read_table(tmp_path / "t.csv").columns["text"]] == [2, MAX_LINE - 3, 2]


def test_lines_of_any_end_are_told_apart_in_long_texts(tmp_path: Path) -> None:
    """The text is read in blocks: none ends between the two bytes of a line end, or inside a quoted field."""
    rows = [f'{"x" * (i % 97)},"a\r\nb"\r\n' for i in range(40_000)]
    (tmp_path / "t.csv").write_bytes(("text,label\r\n" + "".join(rows)).encode())
    found = read_table(tmp_path / "t.csv")
    assert set(found.columns["label"]) == {"a\r\nb"}
    assert [len(text) for text in found.columns["text"]] == [i % 97 for i in range(40_000)]
    assert found.lines[:3] + found.lines[-1:] == [2, 4, 6, 80_000]


def test_an_object_of_many_keys_is_read_in_time(tmp_path: Path) -> None:
    wide = {f"k{i}": i for i in range(20_000)}
    (tmp_path / "t.jsonl").write_text(2 * (json.dumps(wide) + "\n"))
    begun = time.process_time()
    assert len(read_table(tmp_path / "t.jsonl").columns) == 20_000
    assert time.process_time() - begun < 3

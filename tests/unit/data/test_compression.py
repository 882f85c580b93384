"""Compressed tables: read as they were written, and refused if truncated, damaged or a decompression bomb."""

import bz2
import gzip
import hashlib
import importlib.util
import lzma
import sys

import pytest

from tidegate.data import compression
from tidegate.data.table import read_table
from tidegate.errors import DataError

PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
ZSTD = importlib.util.find_spec("compression") is not None
CONTENTS = {"csv": b"text,label\nhi,a\n", "tsv": b"text\tlabel\nhi\ta\n", "jsonl": b'{"text": "hi", "label": "a"}\n'}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("kind", CONTENTS)
def test_they_are_read_and_the_sum_is_that_of_the_file(here, packer, kind):
    data = PACKERS[packer](CONTENTS[kind])
    (here / f"t.{kind}{packer}").write_bytes(data)
    table = read_table(f"t.{kind}{packer}")
    assert table.columns == {"text": ["hi"], "label": ["a"]}
    assert table.sha256 == hashlib.sha256(data).hexdigest()
    assert table.form.startswith(compression.FORMATS[packer][0] + ", ")


@pytest.mark.parametrize("packer", PACKERS)
def test_streams_one_after_the_other_are_one_text(here, packer):
    pack, rest = PACKERS[packer], b"".join(b"row %d,b\n" % i for i in range(30_000))
    (here / f"t.csv{packer}").write_bytes(pack(b"text,label\nh") + pack(b"i,a\n") + bytes(8) + pack(rest))
    table = read_table(f"t.csv{packer}")
    assert table.columns["text"] == ["hi", *(f"row {i}" for i in range(30_000))]
    assert table.lines[-1] == 30_002


@pytest.mark.parametrize("packer", PACKERS)
def test_every_cut_is_refused_in_one_sentence(here, packer):
    data = PACKERS[packer](b"text,label\nhi,a\nyo,b\n" * 3)
    for length in range(1, len(data)):
        (here / f"t.csv{packer}").write_bytes(data[:length])
        with pytest.raises(
            DataError, match=r"^t\.csv\.\w+ is not a complete \w+ file \(.*\); fetch or compress it again$"
        ):
            read_table(f"t.csv{packer}")


@pytest.mark.parametrize("packer", PACKERS)
def test_damage_and_what_follows_the_end_are_refused(here, packer):
    data = PACKERS[packer](bytes(range(32, 127)) * 200)
    changed = bytearray(data)
    changed[len(data) // 2] ^= 0x55
    for wrong in (bytes(changed), data + b"text"):
        (here / f"t.csv{packer}").write_bytes(wrong)
        with pytest.raises(DataError, match="is not a complete"):
            read_table(f"t.csv{packer}")


@pytest.mark.parametrize("packer", PACKERS)
def test_a_bomb_is_refused_before_it_is_unpacked(here, packer, monkeypatch):
    monkeypatch.setattr(compression, "ALWAYS_ALLOWED", 2 * compression.MEGA)
    packed = PACKERS[packer](bytes(50 * compression.MEGA))
    (here / f"t.csv{packer}").write_bytes(packed)
    fed = []
    pieces = compression._decompress
    monkeypatch.setattr(compression, "_decompress", lambda *args: (fed.append(len(p)) or p for p in pieces(*args)))
    with pytest.raises(DataError, match=r"unpacks to more than \d+ MB, which is over 200 times its size; if you trust"):
        read_table(f"t.csv{packer}")
    assert sum(fed) <= compression.size_limit(len(packed)) + compression.CHUNK


def test_the_largest_size_of_all(here, monkeypatch):
    monkeypatch.setattr(compression, "MAX_SIZE", 2 * compression.MEGA)
    (here / "t.csv.gz").write_bytes(gzip.compress(bytes(3 * compression.MEGA)))
    with pytest.raises(DataError, match="unpacks to more than 2 MB, the most that is read"):
        read_table("t.csv.gz")


def test_the_memory_that_xz_asks_for_is_limited(here):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    (here / "t.csv.xz").write_bytes(lzma.compress(b"text\nhi\n", filters=filters))
    with pytest.raises(DataError, match="Memory usage limit"):
        read_table("t.csv.xz")


def test_lines_are_those_of_the_text_and_bytes_too(here):
    (here / "t.csv.gz").write_bytes(gzip.compress(b"text,label\nhi,a\nyo\n"))
    with pytest.raises(DataError, match=r"^t\.csv\.gz:3: found 1 field, expected 2"):
        read_table("t.csv.gz")
    (here / "t.csv.gz").write_bytes(gzip.compress(b"text\n\xff\n"))
    with pytest.raises(DataError, match=r"^t\.csv\.gz:2: byte 5 of the unpacked text \(0xff\) is not UTF-8"):
        read_table("t.csv.gz")
    for nothing in (b"", gzip.compress(b"")):
        (here / "t.csv.gz").write_bytes(nothing)
        with pytest.raises(DataError, match=r"t\.csv\.gz is empty"):
            read_table("t.csv.gz")


def test_a_library_that_this_python_lacks(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "bz2", None)
    (here / "t.csv.bz2").write_bytes(bz2.compress(b"text\nhi\n"))
    with pytest.raises(DataError, match=r"t\.csv\.bz2: this Python has no module bz2; unpack the file first"):
        read_table("t.csv.bz2")


@pytest.mark.skipif(ZSTD, reason="this Python has zstd")
def test_zstd_is_named_where_it_is_missing(here):
    (here / "t.csv.zst").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no module compression\.zstd, which came with Python 3\.14; unpack the file"):
        read_table("t.csv.zst")


@pytest.mark.skipif(not ZSTD, reason="zstd came with Python 3.14")
def test_zstd(here):
    pack = importlib.import_module("compression.zstd").compress
    (here / "t.csv.zst").write_bytes(pack(b"text\nh") + pack(b"i\n"))
    assert read_table("t.csv.zst").columns == {"text": ["hi"]}
    (here / "t.csv.zst").write_bytes(pack(b"text\nhi\n")[:-1])
    with pytest.raises(DataError, match="is not a complete zstd file"):
        read_table("t.csv.zst")


@pytest.mark.parametrize(
    ("name", "found"),
    [("t.gz", r"the extension '\.gz'"), ("t.tar.gz", r"'\.tar\.gz'"), ("t.parquet.gz", r"'\.parquet\.")],
)
def test_what_is_inside_has_to_be_a_text_table(here, name, found):
    (here / name).write_bytes(b"x")
    with pytest.raises(
        DataError, match=found + r".*supported are \.csv, .*also with \.gz, \.bz2, \.xz, \.zst, and \.parq"
    ):
        read_table(name)

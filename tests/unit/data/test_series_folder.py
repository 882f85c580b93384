"""Series from a folder, one per file."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest

from tidegate.data.series import read_series
from tidegate.errors import DataError, OptionError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a function that writes files into the folder `d` of the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()

    def fill(files):
        for name, data in files.items():
            path = tmp_path / "d" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return "d"

    return fill


def archive(tmp_path, **arrays):
    np.savez(tmp_path / "aside.npz", **arrays)
    return (tmp_path / "aside.npz").read_bytes()


def test_files_of_every_kind_in_the_order_of_their_names(folder, tmp_path):
    files = {
        "walk/b.csv": "x,y\n1,2\n3,\n",
        "run/c.jsonl.gz": gzip.compress(b'{"x": 5, "y": 6}\n'),
        "walk/a.npz": archive(tmp_path, x=np.array([[7.0, 8.0]]), columns=["x", "y"]),
        ".hidden": "no table",
        ".cache/d.csv": "z\n1\n",
    }
    found = read_series(folder(files), label="anything")
    assert [(one.id, one.label) for one in found.series] == [("run/c", "run"), ("walk/a", "walk"), ("walk/b", "walk")]
    assert [one.values.tolist()[0] for one in found.series] == [[5, 6], [7, 8], [1, 2]]
    assert [found.locate(i, 0) for i in range(3)] == ["d/run/c.jsonl.gz:1", "d/walk/a.npz, step 1", "d/walk/b.csv:2"]
    names = ("run/c.jsonl.gz", "walk/a.npz", "walk/b.csv")
    sums = [hashlib.sha256(files[n] if isinstance(files[n], bytes) else files[n].encode()).hexdigest() for n in names]
    lines = [f"{name}\0{one}\n" for name, one in zip(names, sums, strict=True)]
    assert found.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert found.describe() == (
        "folder of: table, one step per row, gzip, JSON lines, UTF-8, NPZ, table, one step per row, "
        "comma-separated with "
        "header, UTF-8, 3 series of 1 to 2 steps, 2 channels, 1 missing value"
    )


def test_without_labels_files_need_no_sub_folder(folder):
    found = read_series(folder({"b.csv": "t,x\n1,2\n", "a.csv": "t,x\n1,3\n"}), time="t")
    assert [(one.id, one.label, one.values.tolist()) for one in found.series] == [
        ("a", None, [[3]]),
        ("b", None, [[2]]),
    ]


def test_the_columns_that_are_named_may_stand_in_any_order(folder):
    found = read_series(folder({"a.csv": "x,y\n1,2\n", "b.csv": "y,z,x\n3,u,4\n"}), values=["x", "y"])
    assert [one.values.tolist() for one in found.series] == [[[1, 2]], [[4, 3]]]


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({}, {}, "d has no files; put one file per series there"),
        (
            {"a.csv": "x\n1\n"},
            {"label": "y"},
            "d has the file 'a' outside of any sub-folder; move it into one that has the name of its label",
        ),
        (
            {"a.csv": "x\n1\n", "a.tsv": "x\n1\n"},
            {},
            "d has 'a.csv' and 'a.tsv', which would have the same id; rename one",
        ),
        (
            {"a.csv": "x\n1\n", "b.csv": "y\n1\n"},
            {},
            "d/b.csv: found the columns 'y'; d/a.csv has 'x'; give all files the same",
        ),
        (
            {"a.csv": "x,y\n1,2\n", "b.csv": "y,x\n1,2\n"},
            {},
            "d/b.csv: its columns are in another order than in d/a.csv; fix the order with values",
        ),
        (
            {"u/a.csv": "kind,x\n1,2\n"},
            {"label": "kind"},
            "d/u/a.csv: label is 'kind', a column of numbers in this file; in a folder the label is the name of "
            "the sub-folder; remove the column, or set label to another name",
        ),
        (
            {"a.csv": "x\n1\n", "b.csv": "x\nword\n"},
            {},
            "d/b.csv:2: column 'x' is 'word'; expected a number such as -1.5 or 2e3; correct it",
        ),
    ],
)
def test_folders_that_are_refused(folder, files, arguments, message):
    with pytest.raises(DataError) as caught:
        read_series(folder(files), **arguments)
    assert str(caught.value) == message


def test_a_file_that_is_no_series_is_refused(folder):
    with pytest.raises(DataError, match=r"d/notes\.txt has the extension '\.txt'; supported are \.csv"):
        read_series(folder({"notes.txt": "hello"}))


def test_an_archive_of_several_series_is_refused(folder, tmp_path):
    name = folder({"a.npz": archive(tmp_path, x=np.zeros((2, 3, 1)))})
    with pytest.raises(DataError) as caught:
        read_series(name)
    assert str(caught.value) == "d/a.npz contains 2 series; expected one per file of a folder; divide it"


def test_a_link_to_a_folder_is_refused(folder, tmp_path):
    name = folder({"a.csv": "x\n1\n"})
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    with pytest.raises(DataError) as caught:
        read_series(name)
    assert str(caught.value) == "d/loop is a link to a folder; replace it with the folder itself"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "i"}, "id is 'i', but in a folder each file is a series, and its name is the id; leave id out"),
        (
            {"layout": "rows"},
            "the layout is rows, but in a folder each file is a series with a step per row; leave it out",
        ),
    ],
)
def test_arguments_that_do_not_fit_a_folder(folder, arguments, message):
    with pytest.raises(OptionError) as caught:
        read_series(folder({"a.csv": "x\n1\n"}), **arguments)
    assert str(caught.value) == message


def test_times_with_and_without_a_zone_are_not_mixed_in_a_folder(tmp_path):
    (tmp_path / "a.csv").write_text("at,x\n2020-01-01,1\n")
    (tmp_path / "b.csv").write_text("at,x\n2020-01-01T00:00Z,1\n")
    with pytest.raises(DataError, match=r"b\.csv has times with a zone, but .*a\.csv has times without a zone; write"):
        read_series(tmp_path, time="at")

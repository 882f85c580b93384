"""A model of series reads files that differ a little from those that it was fitted on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tidegate.errors import DataError
from tidegate.tasks import classify
from tidegate.tasks._classified_series import read_unlabelled


def values(found: classify.Source) -> list[list[float]]:
    assert not isinstance(found, classify.Table)
    return [s.values[:, 0].tolist() for s in found.series]


def test_named_values_of_rows_are_those_of_training_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("age,t1,t2,kind\n70,0,1,a\n20,3,4,b\n")
    options = classify.Options(input="series", layout="rows", values="t1,t2", label="kind")
    assert values(read_unlabelled(path, options, ["value"])) == [[0, 1], [3, 4]]
    assert values(classify.read(path, options, ["value"])) == [[0, 1], [3, 4]]


@pytest.mark.parametrize("read", [read_unlabelled, classify.read])
def test_a_folder_has_no_ids_whatever_the_model_was_fitted_on(tmp_path: Path, read: object) -> None:
    for label, x in (("a", 1), ("b", 2)):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.csv").write_text(f"x\n{x}\n{x}\n")
    options = classify.Options(id="beat", label="kind")
    found = read(tmp_path, options, ["x"])  # type: ignore[operator]
    assert values(found) == [[1, 1], [2, 2]]
    assert [s.id for s in found.series] == ["a/1", "b/1"]


def test_a_model_of_a_folder_takes_a_table_as_steps(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("note,x\nu,1\nv,2\n")
    assert values(read_unlabelled(path, classify.Options(label="kind"), ["x"])) == [[1, 2]]
    with pytest.raises(DataError, match="no column 'y'; the file has 'note', 'x'"):
        read_unlabelled(path, classify.Options(label="kind"), ["y"])


@pytest.mark.parametrize("name", ["new.npz", "NEW.NPZ"])
def test_an_archive_of_rows_stays_one_whatever_its_ids_and_columns_are_called(tmp_path: Path, name: str) -> None:
    arrays = {"x": np.arange(6.0).reshape(2, 3), "who": ["p", "q"], "columns": ["lead"], "y": ["a", "b"]}
    with open(tmp_path / name, "wb") as file:
        np.savez(file, **arrays)
    options = classify.Options(id="who", label="y")
    for read in (read_unlabelled, classify.read):
        found = read(tmp_path / name, options, ["lead"])
        assert values(found) == [[0, 1, 2], [3, 4, 5]]
        assert [s.id for s in found.series] == ["p", "q"]

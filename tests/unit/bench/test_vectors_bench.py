"""The bench of vectors counts nearest rows of the same label, and keeps the runs that it did not repeat."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def vectors(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(root / "bench")
    pytest.importorskip("sklearn")
    yield importlib.import_module("vectors")
    for name in [name for name in sys.modules if name == "vectors" or name.split(".")[0] == "common"]:
        sys.modules.pop(name)


ROWS = {
    "train": ([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]], ["a", "b", "c"]),
    "test": ([[5.0, 1.0], [0.0, 0.1], [0.0, -1.0], [-9.0, 0.0]], ["a", "b", "b", "c"]),
}


def test_the_nearest_row_by_cosine_counts(vectors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "load", lambda name, split: ROWS[split])
    found = vectors.compare("any", lambda rows: np.array(rows, np.float32))
    assert found == {"rows": 4, "accuracy": 0.75}
    assert vectors.numbers()("any") == {"rows": 4, "accuracy": 0.75, "numbers": 2}


def test_a_translation_has_to_be_the_nearest_of_all(vectors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {"test.en": ["a", "b", "c"], "test.de": ["a", "b", "b c"]}
    monkeypatch.setattr(vectors, "read_captions", lambda: lines)
    found = vectors.rank(lambda rows: np.array([[float(letter in row) for letter in "abc"] for row in rows]))
    assert (found["rows"], found["accuracy"], found["reciprocal_rank"]) == (3, 1.0, 1.0)


def test_runs_are_kept_in_order_with_the_command_of_all(vectors: Any, tmp_path: Path) -> None:
    for way, accuracy in (("tf-idf", 0.5), ("labels", 0.8), ("tf-idf", 0.6)):
        vectors.store(tmp_path, "trec", {"way": way, "accuracy": accuracy, "numbers": 3})
    (entry,) = json.loads((tmp_path / "vectors.json").read_text()).values()
    assert [(run["way"], run["accuracy"]) for run in entry["figures"]["runs"]] == [("labels", 0.8), ("tf-idf", 0.6)]
    assert entry["command"] == "python bench/vectors.py trec"
    assert "labels" in vectors.format_results({"trec": entry})

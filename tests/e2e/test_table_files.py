"""The command line reads compressed and Parquet files as it reads CSV, and says what it took for what."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from intents import SMALL, messages, write

Run = Callable[..., CompletedProcess[str]]


@pytest.mark.parametrize("packer", [gzip, bz2])
def test_score_and_predict_read_compressed_files(
    fitted: Any, tidegate_without_torch: Run, tmp_path: Path, packer: Any
) -> None:
    packed = tmp_path / f"test.csv.{'gz' if packer is gzip else 'bz2'}"
    packed.write_bytes(packer.compress(fitted.test.read_bytes()))
    for command in ("score", "predict"):
        plain, other = (tidegate_without_torch(command, fitted.model, file) for file in (fitted.test, packed))
        assert (other.returncode, other.stderr) == (0, "")
        assert other.stdout == plain.stdout


def test_score_and_predict_read_parquet(fitted: Any, tidegate_without_torch: Run, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = messages(80, 2)
    file = tmp_path / "test.parquet"
    parquet.write_table(pa.table({"message": [text for text, _ in rows], "intent": [label for _, label in rows]}), file)
    for command in ("score", "predict"):
        plain, other = (tidegate_without_torch(command, fitted.model, source) for source in (fitted.test, file))
        assert (other.returncode, other.stderr) == (0, "")
        assert other.stdout == plain.stdout
    parquet.write_table(pa.table({"message": ["hi", None], "intent": ["hours", "hours"]}), file)
    done = tidegate_without_torch("predict", fitted.model, file)
    assert done.returncode == 2
    assert done.stderr == (
        f"tidegate: {file}, row 2: no value in column 'message' (None); fill it or leave the row out\n"
    )


def test_fit_says_what_it_took_for_what(tidegate: Run, tmp_path: Path) -> None:
    packed, out = tmp_path / "train.jsonl.gz", tmp_path / "m.safetensors"
    packed.write_bytes(gzip.compress(write(tmp_path / "train.jsonl", messages(60, 1)).read_bytes()))
    done = tidegate("fit", "classify", packed, *SMALL, "--epochs", "1", "--out", out)
    assert done.returncode == 0, done.stderr
    taken = "gzip, JSON lines, UTF-8, 60 rows; text: column 'message', label: column 'intent' (4 labels)"
    assert done.stderr.splitlines()[0] == f"{packed}: {taken}"
    assert json.loads(tidegate("info", out, "--json").stdout)["provenance"]["data"]["taken"] == taken


def test_columns_that_look_as_if_they_were_meant_are_named(tidegate: Run, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    done = tidegate("fit", "classify", write(tmp_path / "train.csv", messages(60, 1)), "--out", out)
    assert done.returncode == 2
    assert done.stderr.endswith("'intent' has 4 distinct values: use --text message --label intent\n")
    assert not out.exists()

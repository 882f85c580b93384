"""Files of every kind and frames give the same weights, and the model file says how they were read."""

from __future__ import annotations

import gzip
import random
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tidegate.data.table import Table, read_table
from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.train import fit

WORDS = {"7": ["rain", "sun", "storm"], "8": ["play", "song", "band"], "10": ["pay", "bank", "bill"]}
SMALL: dict[str, Any] = {"hidden": 8, "embed": 8, "epochs": 2, "batch": 16, "refit_epochs": 0, "threads": 1}
NAMES = {"text": "message", "label": "intent"}


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Any]]:
    rng = random.Random(0)
    labels = [rng.choice(sorted(WORDS)) for _ in range(48)]
    texts = [" ".join(rng.choice(["the", "a", *WORDS[label]]) for _ in range(5)) for label in labels]
    return {"message": texts, "intent": [int(label) for label in labels]}


@pytest.fixture
def file(rows: dict[str, list[Any]], tmp_path: Path) -> Path:
    path = tmp_path / "train.csv"
    lines = (f"{text},{label}\n" for text, label in zip(rows["message"], rows["intent"], strict=True))
    path.write_text("message,intent\n" + "".join(lines))
    return path


def test_a_compressed_file_gives_the_same_weights_and_says_what_it_is(file: Path, tmp_path: Path) -> None:
    packed = tmp_path / "train.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    said: list[str] = []
    plain = fit("classify", file, out=str(tmp_path / "a"), **NAMES, **SMALL)
    other = fit("classify", str(packed), out=str(tmp_path / "b"), say=said.append, **NAMES, **SMALL)
    taken = "comma-separated with header, UTF-8, 48 rows; text: column 'message', label: column 'intent' (3 labels)"
    assert said == [f"{packed}: gzip, {taken}"]
    assert plain.weights_hash == other.weights_hash
    assert Model.load(tmp_path / "b").document["provenance"]["data"] == {
        "file": "train.csv.gz",
        "sha256": read_table(packed).sha256,
        "rows": 48,
        "taken": f"gzip, {taken}",
    }


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_gives_the_same_weights(rows: dict[str, list[Any]], file: Path, tmp_path: Path, library: str) -> None:
    frame = pytest.importorskip(library).DataFrame({**rows, "unread": [None] * 48})
    others = pytest.importorskip(library).DataFrame({**rows, "message": [f"{text} now" for text in rows["message"]]})
    said: list[str] = []
    of_file = fit("classify", str(file), out=str(tmp_path / "a"), valid=others, **NAMES, **SMALL)
    of_frame = fit("classify", frame, out=str(tmp_path / "b"), valid=others, say=said.append, **NAMES, **SMALL)
    assert of_frame.weights_hash == of_file.weights_hash
    assert of_frame.labels == ["10", "7", "8"]
    columns = "text: column 'message', label: column 'intent' (integers read as text, 3 labels)"
    assert said == [f"{library} frame: 48 rows; {columns}"] * 2
    recorded = of_frame.document["provenance"]
    assert recorded["data"] == {**recorded["valid"], "sha256": recorded["data"]["sha256"]}
    assert recorded["data"]["frame"] == f"{library} frame"
    assert recorded["data"]["taken"] == f"48 rows; {columns}"


def test_a_run_on_a_frame_goes_on_with_the_same_contents_only(rows: dict[str, list[Any]], tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    frame, out = pl.DataFrame(rows), str(tmp_path / "m")
    whole = fit("classify", frame, out=str(tmp_path / "whole"), **NAMES, **SMALL)

    def press(progress: Any) -> None:
        if progress.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit("classify", frame, out=out, progress=press, **NAMES, **SMALL)
    other = pl.DataFrame({**rows, "message": [*rows["message"][1:], "the rain"]})
    with pytest.raises(OptionError, match="data was .* a resumed run must be the same run"):
        fit("classify", other, out=out, resume=True, **NAMES, **SMALL)
    again = frame.with_columns(unread=pl.lit(1))
    assert fit("classify", again, out=out, resume=True, **NAMES, **SMALL).weights_hash == whole.weights_hash


def test_rows_of_frames_are_named(rows: dict[str, list[Any]], tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    empty = pl.DataFrame({**rows, "message": [*rows["message"][:-1], " "]})
    with pytest.raises(
        DataError, match="^polars frame, row 48: the text in column 'message' is empty; fill it in, or leave"
    ):
        fit("classify", empty, out=str(tmp_path / "m"), **NAMES, **SMALL)
    unseen = pl.DataFrame({"message": ["the rain", "a song"], "intent": [7, 9]})
    with pytest.raises(DataError, match="^polars frame, row 2: label '9' was not seen in training; leave the row out"):
        fit("classify", pl.DataFrame(rows), out=str(tmp_path / "m"), valid=unseen, **NAMES, **SMALL)
    with pytest.raises(
        DataError, match="column 'intent' holds integers, such as .*; expected text; name another column"
    ):
        fit("classify", pl.DataFrame(rows), out=str(tmp_path / "m"), text="intent", label="message", **SMALL)
    with pytest.raises(DataError, match="found a dict; expected a path, or a frame of pandas, polars or Arrow"):
        fit("classify", {}, out=str(tmp_path / "m"), **NAMES, **SMALL)


def test_a_table_that_was_read_says_nothing_of_where_it_lay(file: Path, tmp_path: Path) -> None:
    model = fit("classify", file, out=str(tmp_path / "m"), **NAMES, **SMALL)
    assert str(tmp_path) not in str(model.document)
    assert isinstance(read_table(file), Table)


def test_the_page_about_data_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"```python\n(.*?)```", (root / "docs" / "data.md").read_text("utf-8"), re.DOTALL)
    assert len(found) >= 2
    for code in found:
        exec(compile(code, "data.md", "exec"), {})
    assert Model.load(tmp_path / "intent.safetensors").labels == ["balance", "card_lost"]

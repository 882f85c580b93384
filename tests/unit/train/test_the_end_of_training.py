"""The end of a run: no file of the user is replaced, and the result of the training is not lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.errors import DataError, ModelFileError, OptionError, TidegateError
from tidegate.model import Model
from tidegate.tasks import classify
from tidegate.train import fit
from tidegate.train.loop import Run

TINY: dict[str, Any] = {"hidden": 2, "embed": 2, "epochs": 2, "batch": 8, "refit_epochs": 0}
ROWS = "text,label\n" + "".join(f"rain {i},weather\nplay {i},music\n" for i in range(10))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text(ROWS)
    return tmp_path / "train.csv"


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test fail at any training step."""
    monkeypatch.setattr(Run, "train_step", lambda *args: pytest.fail("a step was learnt"))


@pytest.mark.usefixtures("no_training")
def test_training_does_not_replace_what_it_reads(table: Path, tmp_path: Path) -> None:
    cell = tmp_path / "mycell.py"
    cell.write_text((Path(tidegate.__file__).parent / "cells" / "gru.py").read_text())
    valid = tmp_path / "valid.csv"
    valid.write_text(ROWS)
    (tmp_path / "link").symlink_to("train.csv")
    before = {path: path.read_bytes() for path in (table, valid, cell)}
    for out in (*before, tmp_path / "link"):
        with pytest.raises(OptionError, match="an input of this command"):
            fit("classify", table, out=out, valid=valid, cell=str(cell), force=True, **TINY)
    with pytest.raises(OptionError, match="an input of this command"):
        fit("classify", classify.read(str(table), classify.Options()), out=table, **TINY)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.usefixtures("no_training")
def test_a_file_that_is_no_model_is_refused_before_training(table: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(OptionError, match="is not a tidegate model file"):
        fit("classify", table, out=notes, **TINY)
    (tmp_path / "m.checkpoint").write_text("mine")
    with pytest.raises(OptionError, match="is not a checkpoint of tidegate fit"):
        fit("classify", table, out=tmp_path / "m", restart=True, **TINY)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TidegateError, match="not a regular file"):
        fit("classify", table, out=tmp_path / "pipe", **TINY)
    assert notes.read_text() == (tmp_path / "m.checkpoint").read_text() == "mine"


def test_a_model_replaces_a_model_and_no_other_file(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    model = fit("classify", table, out=out, **TINY)
    fit("classify", table, out=out, **TINY)
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    for writer in (model, tidegate.load(out)):
        writer.save(out)
        with pytest.raises(OptionError, match="is not a tidegate model file"):
            writer.save(notes)
    assert notes.read_text() == "mine"
    model.save(notes, force=True)
    assert Model.load(notes).weights_hash == model.weights_hash
    assert sorted(os.listdir(tmp_path)) == ["m.safetensors", "notes.txt", "train.csv"]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label_separator": "\udcff"}, "text that cannot be written as UTF-8"),
        ({"epochs": 60_000}, "more than 200000 values"),
    ],
)
def test_what_the_file_cannot_hold_is_refused_before_training(
    table: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelFileError, match=f"these options make no model file: .*{said}"):
        fit("classify", table, out=tmp_path / "m", **{**TINY, **options})
    assert os.listdir(tmp_path) == ["train.csv"]


@pytest.mark.usefixtures("no_training")
def test_labels_that_make_the_header_too_large_are_refused_before_training(tmp_path: Path) -> None:
    rows = [f"text {k},{'x' * 20_000}{k % 210}\n" for k in range(420)]
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(rows))
    with pytest.raises(ModelFileError, match="the header would have 4[0-9]* bytes; .* use fewer or shorter ones"):
        fit("classify", tmp_path / "train.csv", out=tmp_path / "m", **TINY)


def test_a_name_that_is_not_utf_8_does_not_end_a_run(tmp_path: Path) -> None:
    train, out = (tmp_path / os.fsdecode(name) for name in (b"caf\xe9.csv", b"m\xff"))
    train.write_text(ROWS)
    model = fit("classify", train, out=out, **TINY)
    assert model.document["provenance"]["data"]["file"] == "caf\\xe9.csv"
    assert Model.load(out).weights_hash == model.weights_hash


@pytest.mark.parametrize("fault", [TidegateError("the disk is full"), MemoryError(), KeyboardInterrupt()])
def test_a_save_that_fails_leaves_a_checkpoint_that_finishes_at_once(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def failing(*args: Any) -> None:
        raise fault

    unbroken = fit("classify", table, out=tmp_path / "other", **TINY)
    with monkeypatch.context() as patch:
        patch.setattr(Model, "save", failing)
        with pytest.raises(type(fault)) as caught:
            fit("classify", table, out=tmp_path / "m", **TINY)
    if isinstance(fault, TidegateError):
        assert "run again with resume=True to finish" in str(caught.value)
    monkeypatch.setattr(Run, "train_step", lambda *args: pytest.fail("a step was learnt again"))
    assert fit("classify", table, out=tmp_path / "m", resume=True, **TINY).weights_hash == unbroken.weights_hash
    assert sorted(os.listdir(tmp_path)) == ["m", "other", "train.csv"]


def test_a_figure_that_is_no_number_stops_the_run(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def broken(self: Any, predictions: Any) -> dict[str, float]:
        return {"accuracy": 0.5, "log_loss": np.nan}

    monkeypatch.setattr("tidegate.tasks._classes.SingleLabel.measure", broken)
    with pytest.raises(DataError, match="epoch 1: log loss of the held-out rows is nan"):
        fit("classify", table, out=tmp_path / "m", **TINY)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_leaves_a_checkpoint(table: Path, tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        fit("classify", table, out=tmp_path / "m", progress=lambda _: signal.raise_signal(number), **TINY)
    assert sorted(os.listdir(tmp_path)) == ["m.checkpoint", "train.csv"]
    assert signal.getsignal(number) is before


def test_a_signal_that_the_process_ignores_stays_ignored(table: Path, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        fit("classify", table, out=tmp_path / "m", progress=lambda _: signal.raise_signal(signal.SIGHUP), **TINY)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (tmp_path / "m").exists()


def test_two_runs_at_once_do_not_share_an_output(table: Path, tmp_path: Path) -> None:
    said: list[str] = []

    def second(progress: Any) -> None:
        with pytest.raises(TidegateError, match="another process .* is writing it") as caught:
            fit("classify", table, out=tmp_path / "m", **TINY)
        said.append(str(caught.value))

    fit("classify", table, out=tmp_path / "m", progress=second, **TINY)
    assert said
    assert sorted(os.listdir(tmp_path)) == ["m", "train.csv"]

"""Training: batches and schedule are functions; a resumed run is the same as an uninterrupted one, to the last bit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tidegate import tasks
from tidegate.data.table import read_table
from tidegate.errors import DataError, ModelFileError, OptionError, TidegateError
from tidegate.model import Model
from tidegate.tasks._holdout import split
from tidegate.tasks._labels import class_weights
from tidegate.tasks._messages import Messages
from tidegate.train import Progress, fit
from tidegate.train import checkpoint as checkpoints
from tidegate.train.batches import plan
from tidegate.train.job import TrainingJob
from tidegate.train.schedule import rate

WORDS = {"weather": ["rain", "sun", "storm"], "music": ["play", "song", "band"], "money": ["pay", "bank", "bill"]}
SMALL: dict[str, Any] = {"hidden": 8, "embed": 8, "epochs": 3, "batch": 8, "rate": 0.02, "refit_epochs": 0}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = ["text,label"]
    for _ in range(90):
        label = str(rng.choice(list(WORDS)))
        rows.append(" ".join(rng.choice(["the", "a", "please", *WORDS[label]], 6)) + "," + label)
    path = tmp_path / "train.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_an_epoch_has_every_row_once_and_depends_on_seed_and_epoch_alone() -> None:
    rows, lengths = np.arange(10, 110), np.arange(200) % 17
    one = plan(rows, lengths, 8, 3, 5)
    assert sorted(np.concatenate(one)) == list(rows)
    assert all(np.array_equal(a, b) for a, b in zip(one, plan(rows, lengths, 8, 3, 5), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, plan(rows, lengths, 8, 3, 6), strict=True))


def test_rows_of_like_length_stand_together() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 800)
    padding = sum(int((lengths[b].max() - lengths[b]).sum()) for b in plan(np.arange(800), lengths, 16, 0, 0))
    assert padding < 0.1 * lengths.sum()


def test_rows_of_a_batch_stand_one_after_another() -> None:
    rows = Messages([np.array([1, 2, 3], np.int32), np.array([4], np.int32)], "label", np.array([7, 8]), np.zeros(5))
    batch = rows.batch(np.array([1, 0]))
    assert batch.inputs["x"].tolist() == [4, 1, 2, 3]
    assert batch.lengths.tolist() == [1, 3]
    assert batch.targets["label"].tolist() == [8, 7]
    shorter = batch.shorten(np.array([1, 2]))
    assert shorter.inputs["x"].tolist() == [4, 1, 2]
    assert shorter.lengths.tolist() == [1, 2]


def test_the_split_keeps_one_row_of_every_class() -> None:
    targets = np.array([0] * 50 + [1] * 2 + [2])
    kept, held = split(targets, 0.1, 0)
    assert sorted([*kept, *held]) == list(range(53))
    assert set(targets[kept]) == {0, 1, 2}
    assert np.bincount(targets[held], minlength=3).tolist() == [5, 1, 0]


def test_the_rate_rises_peaks_and_falls() -> None:
    rates = [rate(s, 200, 0.5) for s in range(200)]
    top = int(np.argmax(rates))
    assert rates[top] == 0.5
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0.005)


def job(table: Path, **values: Any) -> TrainingJob:
    task = tasks.load("classify")
    return TrainingJob(task, task.Options(**{**SMALL, **values}), read_table(str(table)), None, 1)


@pytest.mark.parametrize(
    "values", [{}, {"average": 0.95, "refit_epochs": 1}, {"drop_words": 0.0, "prefix": 0.0, "patience": 1}]
)
def test_a_run_stopped_after_any_step_ends_with_the_same_bits(
    table: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    whole = job(table, **values).run(None)
    moments = sum(1 for _ in whole.run())
    want, _ = whole.state()
    for after in {1, 2, moments // 3, moments // 2, moments - 2, moments - 1}:
        first = job(table, **values)
        stopped = first.run(None)
        for _ in itertools.islice(stopped.run(), after):
            pass
        path = str(tmp_path / "c.checkpoint")
        checkpoints.save(path, stopped, first.identity())
        second = job(table, **values)
        again = second.run(None)
        checkpoints.load(path, again, second.identity(), type(second.options))
        for _ in again.run():
            pass
        got, _ = again.state()
        assert all(np.array_equal(got[name], want[name]) for name in want), f"stopped after {after} of {moments}"
        assert again.history == whole.history


def test_the_global_random_generator_is_left_alone(table: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    fit("classify", str(table), out=str(tmp_path / "m.safetensors"), **SMALL)
    assert torch.equal(before, torch.get_rng_state())


def test_the_same_seed_gives_the_same_file_and_another_seed_another(table: Path, tmp_path: Path) -> None:
    hashes = [
        fit("classify", str(table), out=str(tmp_path / f"{i}.safetensors"), **SMALL, seed=seed).weights_hash
        for i, seed in enumerate((1, 1, 2))
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()


def test_a_fit_learns_reports_and_records(table: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    out = tmp_path / "m.safetensors"
    model = fit("classify", str(table), out=str(out), progress=seen.append, **{**SMALL, "epochs": 8, "refit_epochs": 2})
    assert model.document["provenance"]["metrics"]["held_out"]["accuracy"] >= 0.9
    assert model.document["provenance"]["data"]["sha256"] == read_table(str(table)).sha256
    assert model.document["provenance"]["rows"] == {"trained": 81, "held_out": 9}
    assert [(p.epoch, p.phase) for p in seen if p.evaluated] == [
        *((e, "train") for e in range(1, 9)),
        (9, "refit"),
        (10, "refit"),
    ]
    assert seen[-1].seconds_left is not None
    assert Model.load(out).weights_hash == model.weights_hash
    assert not Path(checkpoints.path_of(str(out))).exists()


def test_an_interrupt_leaves_a_checkpoint_and_resume_ends_with_the_same_file(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit("classify", str(table), out=str(tmp_path / "whole.safetensors"), **SMALL)
    out = tmp_path / "m.safetensors"

    def press(p: Progress) -> None:
        if (p.epoch, p.step) == (2, 3):
            import signal

            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit("classify", str(table), out=str(out), progress=press, **SMALL)
    assert not out.exists()
    with pytest.raises(OptionError, match="a run was not finished; continue with resume=True"):
        fit("classify", str(table), out=str(out), **SMALL)
    with pytest.raises(OptionError, match="options seed was 0 and is 1 now; a resumed run must be the same run"):
        fit("classify", str(table), out=str(out), resume=True, **SMALL, seed=1)
    with pytest.raises(OptionError, match="threads was 1 and is 2 now"):
        fit("classify", str(table), out=str(out), resume=True, threads=2, **SMALL)
    monkeypatch.setattr("tidegate.train.training_job.target_name", lambda: "other")
    with pytest.raises(OptionError, match=r"instructions native was '\w+' and is 'other' now"):
        fit("classify", str(table), out=str(out), resume=True, **SMALL)
    monkeypatch.undo()
    assert fit("classify", str(table), out=str(out), resume=True, **SMALL).weights_hash == whole.weights_hash
    with pytest.raises(OptionError, match="no checkpoint to resume from"):
        fit("classify", str(table), out=str(out), resume=True, **SMALL)


def test_a_file_to_judge_by_is_not_learnt_from_unasked(table: Path, tmp_path: Path) -> None:
    task = tasks.load("classify")
    rows = read_table(str(table))
    own = TrainingJob(task, task.Options(**{**SMALL, "refit_epochs": None}), rows, None, 1)
    others = replace(rows, columns={**rows.columns, "text": [f"{text} now" for text in rows.column("text")]}, sha256="")
    judged = TrainingJob(task, task.Options(**{**SMALL, "refit_epochs": None}), rows, others, 1)
    assert own.options.refit_epochs >= 2
    assert judged.options.refit_epochs == 0
    assert (len(judged.problem.train_rows), len(judged.problem.valid_rows)) == (90, 90)


def test_a_label_that_only_the_judging_file_has_is_refused_with_what_to_do(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "valid.csv"
    other.write_text("text,label\npay the bill,money\nhello,greeting\n")
    with pytest.raises(
        DataError, match="valid.csv:3: label 'greeting' was not seen in training; leave the row out"
    ) as e:
        fit("classify", str(table), out=str(tmp_path / "m"), valid=str(other), **SMALL)
    assert "--unseen" not in str(e.value)


def test_training_stops_early_when_the_held_out_rows_gain_no_more(table: Path, tmp_path: Path) -> None:
    out, values = str(tmp_path / "m.safetensors"), {**SMALL, "epochs": 60, "patience": 2, "refit_epochs": 1}
    recorded = fit("classify", str(table), out=out, **values).document["provenance"]
    assert recorded["epochs"]["stopped_early"]
    assert recorded["epochs"]["kept"] < len(recorded["history"]) < 60


def test_changed_data_are_refused_when_resuming(table: Path, tmp_path: Path) -> None:
    first, path = job(table), str(tmp_path / "c")
    checkpoints.save(path, first.run(None), first.identity())
    table.write_text(table.read_text() + "pay the bill,money\n")
    other = job(table)
    with pytest.raises(OptionError, match="data was .* a resumed run must be the same run"):
        checkpoints.load(path, other.run(None), other.identity(), type(other.options))


def test_a_file_that_is_no_checkpoint_is_refused(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    fit("classify", str(table), out=str(out), **SMALL)
    other = job(table)
    with pytest.raises(
        ModelFileError,
        match="not a checkpoint of an unfinished .* it is a tidegate model; start again",
    ):
        checkpoints.load(str(out), other.run(None), other.identity(), type(other.options))
    (tmp_path / "t").write_bytes(b"nothing")
    with pytest.raises(TidegateError):
        checkpoints.load(str(tmp_path / "t"), other.run(None), other.identity(), type(other.options))


def test_class_weights_balance_a_rare_class() -> None:
    targets = np.array([0] * 90 + [1] * 10)
    got = class_weights(targets, 2, balanced=True)
    assert got[1] / got[0] == pytest.approx(9)
    assert got[targets].mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("hi,a\nyo,a\n", "column 'label' has only one class, 'a'"),
        ("hi,a\n ,b\n", ":3: the text in column 'text' is empty"),
        ("hi,a\nyo,\n", ":3: the label in column 'label' is empty"),
        ("hi,a\nyo,b\n", "too few rows to hold some out"),
    ],
)
def test_rows_that_teach_nothing_are_refused(tmp_path: Path, rows: str, sentence: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + rows)
    with pytest.raises(DataError) as caught:
        fit("classify", str(path), out=str(tmp_path / "m"), **SMALL)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"hiden": 3}, "unknown option 'hiden'; did you mean 'hidden'?"),
        ({"hidden": 0}, "hidden is 0; it must be 1 to 4096"),
        ({"hidden": 2.5}, "hidden is 2.5; expected int"),
        ({"unit": "letters"}, "choose one of word, space, character, byte"),
        ({"pool": "last,sum"}, "unknown pool 'sum'"),
        ({"cell": "gruu"}, "unknown cell 'gruu'"),
    ],
)
def test_options_are_checked(table: Path, tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TidegateError) as caught:
        fit("classify", str(table), out=str(tmp_path / "m"), **values)
    assert sentence in str(caught.value)


def test_a_folder_that_is_not_there_is_refused_before_training(table: Path, tmp_path: Path) -> None:
    with pytest.raises(TidegateError, match="its folder does not exist"):
        fit("classify", str(table), out=str(tmp_path / "no" / "m.safetensors"))


def test_threads_are_the_argument_else_the_environments_else_one(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads(**given: Any) -> int:
        model = fit("classify", str(table), out=str(tmp_path / "m.safetensors"), **{**SMALL, "epochs": 1}, **given)
        return int(model.document["provenance"]["threads"])

    monkeypatch.delenv("TIDEGATE_THREADS", raising=False)
    assert threads() == 1
    monkeypatch.setenv("TIDEGATE_THREADS", "2")
    assert (threads(), threads(threads=1)) == (2, 1)
    for value in ("0", "two"):
        monkeypatch.setenv("TIDEGATE_THREADS", value)
        with pytest.raises(OptionError, match="expected an integer of 1 to 1024"):
            threads()
    with pytest.raises(OptionError, match="threads is 0; expected an integer of 1 to 1024"):
        threads(threads=0)

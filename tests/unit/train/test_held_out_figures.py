"""What a fit prints and records about its held-out rows is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import cli, tasks
from tidegate.cli.score import measure
from tidegate.model import Model
from tidegate.train import fit
from tidegate.train.job import TrainingJob

SMALL_OPTIONS: dict[str, Any] = {"hidden": 4, "embed": 4, "epochs": 2, "batch": 32}
SMALL: dict[str, Any] = {**SMALL_OPTIONS, "threads": 1}
FLAGS = [f"--{name}={value}" for name, value in SMALL.items()]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write six copies each of random texts with random labels: only the rows themselves can be memorised."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{k}" for k in rng.integers(0, 200, 6)) for _ in range(60)]
    rows = [f"{text},{rng.choice(['a', 'b'])},p{i % 12}" for i, text in enumerate(texts * 6)]
    path = tmp_path_factory.mktemp("copies") / "train.csv"
    path.write_text("text,label,patient\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def model(copies: Path) -> Path:
    out = copies.parent / "m.safetensors"
    fit("classify", copies, out=str(out), group="patient", **{**SMALL, "epochs": 8, "hidden": 16, "rate": 0.02})
    return out


def test_rows_that_stand_several_times_are_not_judged_by_their_copies(model: Path) -> None:
    found = Model.load(model).document["provenance"]
    assert found["metrics"]["held_out"]["accuracy"] < 0.8
    assert found["judged_on"] == "30 of 360 rows, held out, of 1 of 12 groups"
    assert found["notes"] == ["300 of 360 rows repeat another one, 153 of them with a different label"]
    assert found["final"]["on"] == (
        "held-out rows, which selected the weights and their calibration; the last epochs trained on them too"
    )


def test_the_file_that_was_learnt_from_is_no_test(model: Path, copies: Path, tmp_path: Path) -> None:
    assert measure(str(model), str(copies)).as_dict()["warning"] == (
        "this is the training data: the figures say nothing about new data"
    )
    other = tmp_path / "test.csv"  # it needs no column of groups
    other.write_text("text,label\n" + "".join(f"w{i},a\nw1,b\n" for i in range(5)))
    assert measure(str(model), str(other)).as_dict()["warning"] == ""


def test_fit_says_on_which_rows_its_figures_are(
    copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, valid = tmp_path / "m.safetensors", tmp_path / "valid.csv"
    assert cli.main(["fit", "classify", str(copies), "--out", str(out), *FLAGS, "--refit-epochs=1"]) == 0
    said = capsys.readouterr()
    assert (
        f"{copies}: 300 of 360 rows repeat another one, 153 of them with a different label; equal rows stay" in said.err
    )
    assert " on 36 of 360 rows, held out\nmeasured before the last epoch, which trained on all rows\n" in said.out
    valid.write_text("".join(copies.read_text().splitlines(True)[:11]) + "quite new,a,p99\n")
    assert cli.main(["fit", "classify", str(copies), "--valid", str(valid), "--out", str(out), *FLAGS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["provenance"]
    assert found["judged_on"] == "11 rows of another file, 10 of which are also in the training data"
    assert cli.main(["score", str(out), str(valid)]) == 0
    assert "this file chose the model's weights" in capsys.readouterr().out
    assert cli.main(["fit", "classify", str(copies), "--valid", str(copies), "--out", str(out), *FLAGS]) == 2
    assert "has the same rows as" in capsys.readouterr().err


def test_a_forecasters_figures_are_said_to_be_from_before_the_refit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "s.csv", tmp_path / "m.safetensors"
    data.write_text("value\n" + "".join(f"{np.sin(t / 3) + t % 5:.3f}\n" for t in range(80)))
    flags = ["--horizon=2", "--lookback=4", "--epochs=1", "--hidden=4", "--threads=1"]
    assert cli.main(["fit", "forecast", str(data), "--out", str(out), *flags]) == 0
    assert "2 steps ahead, measured before the last epoch, which trained on it too\n" in capsys.readouterr().out


def test_score_and_predict_say_what_unseen_labels_and_other_columns_are(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "test.csv"
    other.write_text("words,label\nw1 w2,a\nw3,new\n")
    assert cli.main(["score", str(model), str(other), "--text", "words", "--unseen", "wrong"]) == 0
    assert "(1 with labels unseen in training: counted as wrong, but not in macro F1 and log loss)" in " ".join(
        capsys.readouterr().out.split()
    )
    assert cli.main(["predict", str(model), str(other)]) == 2
    assert "no column 'text'; the file has 'words', 'label'; choose the column of messages with --text\n" in (
        capsys.readouterr().err
    )


def test_equal_rows_and_groups_calibrate_together(copies: Path) -> None:
    room = tasks.load("classify")
    for group in (None, "patient"):
        options = room.Options(**{**SMALL_OPTIONS, "group": group, "hold_out": 0.5})
        run = TrainingJob(room, options, room.read(copies, options), None, 1).run(None)
        groups, folds = run.problem.groups[run.sort_by_length(run.valid_rows)], run.folds()
        assert all(len(set(folds[groups == g])) == 1 for g in groups)
        assert set(folds) == {0, 1, 2, 3, 4}

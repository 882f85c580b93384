"""Encoders without labels of series and of conversations: what follows the steps or the messages."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.cli import main
from tidegate.data.series import from_arrays
from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.tasks import _next_numbers, encode
from tidegate.tasks._next_numbers import NumbersToCome, Scaling
from tidegate.tasks._options import apply_preset
from tidegate.tasks._sequences import Augmentation, Sequences
from tidegate.tasks._series_parts import cut_series
from tidegate.tasks._unlabelled import prepare
from tidegate.train.job import fit

SMALL: dict[str, Any] = {"hidden": 16, "size": 6, "drop_pool": 0.0, "noise": 0.0, "shift": 0.0, "gain": 0.0}


def waves(count: int, seed: int, length: int = 30) -> np.ndarray[Any, Any]:
    """Return sines of one frequency, and phases and heights of their own, [count, length, 1], about 5."""
    rng = np.random.default_rng(seed)
    phase, height = rng.random((2, count, 1)) * np.array([[[6.3]], [[1.0]]]) + np.array([[[0.0]], [[1.0]]])
    return (5 + height * np.sin(phase + np.arange(length) * 0.7))[:, :, None]


def write_steps(path: Path, x: np.ndarray[Any, Any], label: bool = True) -> str:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["beat", "volt", *(["label"] if label else [])])
        for i, one in enumerate(x):
            rows.writerows([f"b{i}", f"{v:.6f}", *([f"n{k % 2}"] if label else [])] for k, (v,) in enumerate(one))
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("waves")
    train = write_steps(folder / "train.csv", waves(60, 0))
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    out = str(folder / "e.safetensors")
    assert main(["fit", "encode", train, "--id", "beat", *flags, "--epochs", "40", "--rate", "0.02", "--out", out]) == 0
    return out


# ---- series


def test_the_next_step_is_predicted_better_than_repeated(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = write_steps(tmp_path / "test.csv", waves(20, 1), label=False)
    assert main(["score", model, test, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["rows"], figures["steps"]) == (20, 20 * 29)
    assert figures["error"] < 0.5 * figures["error_of_repeating"]
    assert figures["loss"] < figures["error"]
    held_out = Model.load(model).document["provenance"]["final"]
    assert figures["error_of_repeating"] == pytest.approx(held_out["error_of_repeating"], rel=0.3)
    assert main(["score", model, test]) == 0
    assert "error of repeating the last step" in capsys.readouterr().out


def test_a_column_of_labels_is_left_out_and_it_is_said(model: str) -> None:
    made = Model.load(model)
    taken = made.document["provenance"]["data"]["taken"]
    assert "column 'label' left out" in taken
    assert "values: 1 column ('volt')" in taken
    assert list(made.inputs["x"].to_json()["columns"]) in ([{"name": "volt", "role": "past"}], ["volt"])


@pytest.mark.slow
def test_predict_gives_vectors_of_series(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = write_steps(tmp_path / "test.csv", waves(3, 1), label=False)
    assert main(["predict", model, test, "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["series"], len(one["vector"])) for one in records] == [("b0", 6), ("b1", 6), ("b2", 6)]
    stream = tidegate.load(model).stream()
    x = np.array([float(row["volt"]) for row in csv.DictReader(Path(test).read_text().splitlines())][:30])
    for value in x[:-1]:
        stream.push([value])
    assert np.allclose(stream.push([x[-1]], end=True).values, records[0]["vector"])
    assert main(["verify", model]) == 0


def test_rows_and_archives_and_windows_are_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "x.npz"
    np.savez(archive, x=waves(40, 2), y=np.zeros(40, np.int64))
    for more in ({}, {"window": 12}):
        made = fit("encode", str(archive), encode.Options(**SMALL, epochs=1, **more), str(tmp_path / "e.safetensors"))
        scored = encode.score(tidegate.runtime.Predictor(made), str(archive), {}).as_dict()
        assert scored["rows"] == (160 if more else 40)
        assert scored["warning"].startswith("this is the training data")
    wide = tmp_path / "wide.csv"
    cells = [[f"t{k}" for k in range(30)], *(map(str, row[:, 0]) for row in waves(40, 3))]
    wide.write_text("\n".join(",".join(row) for row in cells))
    note = "all rows are steps of one series; if each row is a series, add --layout rows"
    for layout, said in (("rows", False), (None, True)):
        options = encode.Options(**SMALL, epochs=1, layout=layout, input="series")
        made = fit("encode", str(wide), options, str(tmp_path / "w.safetensors"))
        assert (note in made.document["provenance"].get("notes", [])) == said


def test_one_long_recording_is_cut_into_parts(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    x = waves(1, 3, 3000)[0, :, 0]
    path.write_text("volt\n" + "".join(f"{v:.5f}\n" for v in x))
    with pytest.raises(DataError, match="'volt' hold numbers: if each row is one step, add --input series"):
        fit("encode", str(path), encode.Options(), str(tmp_path / "e"))
    for more, rows in (({}, 10), ({"window": 20}, 290)):
        made = fit("encode", str(path), encode.Options(**SMALL, input="series", epochs=1, **more), str(tmp_path / "e"))
        provenance = made.document["provenance"]
        assert "1 series is cut into 10 parts, which are trained on as series of their own" in provenance["notes"]
        assert "1 series of 3,000 steps" in provenance["data"]["taken"]
        assert provenance["rows"]["trained"] + provenance["rows"]["held_out"] == rows
    cut, _ = cut_series(from_arrays([np.arange(2500.0), np.arange(30.0)]), 0)
    assert [len(one) for one in cut.series] == [500] * 5 + [30]
    assert np.array_equal(np.concatenate([one.values[:, 0] for one in cut.series[:5]]), np.arange(2500.0))
    assert cut.locate(1, 0).endswith("step 501")


def test_own_words_are_for_texts(tmp_path: Path) -> None:
    archive = tmp_path / "x.npz"
    np.savez(archive, x=waves(20, 2))
    with pytest.raises(OptionError, match="own_words is for texts, and these data are series; leave --own-words out"):
        fit("encode", str(archive), encode.Options(own_words=1.0), str(tmp_path / "e.safetensors"))


def test_what_is_filled_in_is_not_predicted() -> None:
    x = waves(30, 4).astype(np.float64)
    x[:, 5] = np.nan
    options = encode.Options(**SMALL, missing="mask")
    problem = prepare(from_arrays(list(x)), None, apply_preset(options))
    batch = problem.rows.batch(np.arange(2), np.random.default_rng(0))
    targets = batch.targets["vector"]
    assert targets.shape == (60, 1)
    assert np.flatnonzero(np.isnan(targets[:, 0])).tolist() == [4, 29, 34, 59]
    assert batch.mask["vector"].sum() == 56


def test_targets_follow_the_shift_of_a_row_and_have_no_noise() -> None:
    x = waves(2, 5).astype(np.float32)
    scaling = Scaling(np.array([5.0], np.float32), np.array([2.0], np.float32), False)
    plain = Augmentation(np.array([5.0], np.float32), np.array([2.0], np.float32), 0.0, 0.0, 0.0)

    def draw(augmentation: Augmentation) -> Any:
        rows = NumbersToCome(Sequences(list(x), "label", np.zeros(2, np.int64), augmentation), scaling)
        return rows.batch(np.arange(2), np.random.default_rng(3))

    def error(batch: Any) -> Any:
        read, targets = (batch.inputs["x"] - 5) / 2, batch.targets["vector"]
        return np.delete(read[1:] - targets[:-1], 29)

    assert np.allclose(error(draw(plain)), 0, atol=1e-6)
    shifted = draw(Augmentation(plain.mean, plain.deviation, 0.0, 0.5, 0.2))
    assert np.allclose(error(shifted), 0, atol=1e-6)
    assert not np.allclose(shifted.inputs["x"], np.concatenate(list(x)), atol=0.01)
    noisy = draw(Augmentation(plain.mean, plain.deviation, 0.5, 0.0, 0.0))
    assert np.allclose(noisy.targets["vector"][:29], draw(plain).targets["vector"][:29])
    assert np.std(error(noisy)) == pytest.approx(0.5, rel=0.4)


def test_figures_are_huber_and_absolute_errors() -> None:
    tensors = {"weight": np.array([[1.0]]), "bias": np.array([0.0])}
    vectors, following, last = np.array([[0.0], [1.0], [5.0]]), np.array([[0.5], [4.0], [np.nan]]), np.zeros((3, 1))
    figures = _next_numbers.measure_numbers(vectors, following, last, tensors)
    assert figures == {"loss": (0.125 + 2.5) / 2, "error": 1.75, "error_of_repeating": 2.25}


@pytest.mark.parametrize(
    ("x", "options", "why"),
    [
        (waves(1, 0), {}, "there are not two or more series that differ"),
        (waves(20, 0, length=1), {}, "nothing in the rows is followed by a step to predict"),
    ],
)
def test_series_that_nothing_can_be_learnt_from_are_refused(x: Any, options: Any, why: str, tmp_path: Path) -> None:
    archive = tmp_path / "x.npz"
    np.savez(archive, x=x)
    with pytest.raises(DataError, match=why):
        fit("encode", str(archive), encode.Options(**SMALL, **options), str(tmp_path / "e.safetensors"))


# ---- conversations

TALK = {"q": "is it late", "a": "yes it is", "b": "come here now", "c": "i am on my way"}
NEXT = {"q": "a", "a": "b", "b": "c", "c": "q"}


def write_talks(path: Path, count: int) -> str:
    rng, order = np.random.default_rng(0), list(NEXT)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["talk", "turn", "who", "words"])
        for talk in range(count):
            now = order[rng.integers(4)]
            for turn in range(6):
                rows.writerow([talk, turn, "ab"[turn % 2], TALK[now]])
                now = NEXT[now]
    return str(path)


@pytest.mark.slow
def test_a_conversation_predicts_the_words_of_the_next_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, out = write_talks(tmp_path / "train.csv", 60), str(tmp_path / "e.safetensors")
    flags = ["--text", "words", "--conversation", "talk", "--turn", "turn", "--speaker", "who", "--context", "16"]
    more = ["--hidden", "16", "--size", "8", "--epochs", "12", "--rate", "0.02", "--drop-pool", "0", "--out", out]
    assert main(["fit", "encode", train, *flags, *more]) == 0
    assert main(["score", out, train, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["rows"] == 360
    # the words of the next message are known, in any order: three of three, or five of five
    assert figures["perplexity"] < 1.5 * 4
    made = Model.load(out)
    assert list(made.levels) == ["words", "talk"]
    assert made.document["outputs"]["vector"]["from"] == "talk.1"
    (answers,) = tidegate.load(out).answers([[("is it late", {"speaker": "a"}), ("yes it is", {"speaker": "b"})]])
    assert [answer.values.shape for answer in answers] == [(8,), (8,)]
    assert main(["predict", out, train, "--out", str(tmp_path / "p.csv")]) == 0
    assert main(["verify", out]) == 0


def test_conversations_of_one_message_have_nothing_to_predict(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("talk,turn,words\n" + "".join(f"{i},0,hello you {i % 7}\n" for i in range(30)))
    options = encode.Options(text="words", conversation="talk", turn="turn", hidden=4)
    with pytest.raises(DataError, match="nothing in the rows is followed by a step to predict"):
        fit("encode", str(path), options, str(tmp_path / "e.safetensors"))

"""Encoders without labels: the vector after each step predicts what follows, and the file ends with the vector."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tidegate
from tidegate.cli import main
from tidegate.data.table import Table
from tidegate.errors import DataError, ModelFileError, OptionError
from tidegate.model import Model
from tidegate.tasks import _word_head, encode
from tidegate.tasks._next_step import next_rows, spread_steps
from tidegate.tasks._next_words import words_of_next
from tidegate.train import checkpoint
from tidegate.train.job import TrainingJob, fit

SMALL: dict[str, Any] = {"hidden": 16, "size": 8, "epochs": 12, "rate": 0.02, "drop_embed": 0.0, "drop_pool": 0.0}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
LINES = ["one two three four five", "five four three two one", "red green blue red green", "tea milk tea milk tea"]


def texts(count: int, seed: int) -> list[str]:
    """Return texts in which the next word follows from the words before it, except at their ends."""
    rng = random.Random(seed)
    return [f"{rng.choice(['so', 'well', 'now'])} {rng.choice(LINES)} {rng.choice('abcdefgh')}" for _ in range(count)]


def write_csv(path: Path, columns: dict[str, list[Any]]) -> str:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("unlabelled")
    train = write_csv(folder / "train.csv", {"message": texts(150, 1), "label": ["x", "y", "z"] * 50})
    out = str(folder / "e.safetensors")
    assert main(["fit", "encode", train, "--text", "message", *FLAGS, "--out", out]) == 0
    return out


# ---- the head


def test_with_all_words_compared_the_loss_is_the_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    table, vectors = rng.standard_normal((9, 4)).astype(np.float32), rng.standard_normal((3, 2)).astype(np.float32)
    tensors = _word_head.first_tensors(np.arange(9), 2, 4, 0)
    words = np.array([[3], [0], [8]])
    scores = vectors @ tensors["projection"].T @ table.T + tensors["bias"]
    scores[:, 0] = -np.inf  # an unknown word is never predicted
    wanted = [np.log(np.exp(scores[i]).sum()) - scores[i, word] for i, word in ((0, 3), (2, 8))]
    found = _word_head.surprise(vectors, words, table, tensors)
    assert np.allclose(found[:, 0], [wanted[0], 0, wanted[1]], atol=1e-5)
    trained = {name: torch.from_numpy(array) for name, array in tensors.items()}
    loss = _word_head.loss(torch.from_numpy(vectors), words, torch.from_numpy(table), trained, rng)
    assert float(loss) == pytest.approx(np.mean(wanted), abs=1e-5)


def test_of_a_large_vocabulary_some_words_are_drawn_and_the_loss_is_about_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    table, vectors = (rng.standard_normal(shape).astype(np.float32) for shape in ((2000, 4), (400, 3)))
    tensors = _word_head.first_tensors(rng.integers(0, 50, 2000), 3, 4, 0)
    words = rng.integers(1, 2000, (400, 1))
    exact = _word_head.surprise(vectors, words, table, tensors).mean()
    monkeypatch.setattr(_word_head, "MOST_CANDIDATES", 500)
    trained = {name: torch.from_numpy(array) for name, array in tensors.items()}
    losses = [
        float(_word_head.loss(torch.from_numpy(vectors), words, torch.from_numpy(table), trained, rng))
        for _ in range(10)
    ]
    assert np.std(losses) > 0
    assert np.mean(losses) == pytest.approx(exact, rel=0.02)


def test_vectors_without_a_word_to_predict_do_not_count() -> None:
    tensors = {n: torch.from_numpy(a) for n, a in _word_head.first_tensors(np.arange(5), 2, 3, 0).items()}
    vectors = torch.ones(2, 2, requires_grad=True)
    loss = _word_head.loss(vectors, np.zeros((2, 1), np.int64), torch.ones(5, 3), tensors, np.random.default_rng(0))
    assert float(loss.detach()) == 0.0


def test_steps_are_spread_evenly_and_rows_end() -> None:
    assert spread_steps(np.array([1, 4, 100]), 4).sum() == 9
    assert next_rows(np.arange(5), np.array([2, 3]), -1).tolist() == [1, -1, 3, 4, -1]
    long = words_of_next([np.array([1]), np.arange(1, 100)])
    assert long.shape == (2, 32)
    assert long[0].tolist() == list(range(1, 33))


# ---- texts


def test_the_file_ends_with_the_vector_and_keeps_what_score_reads(model: str) -> None:
    made = Model.load(model)
    document = made.document
    assert [layer.kind for layer in made.layers] == ["embed", "recurrent", "pool", "dense"]
    assert list(made.outputs) == ["vector"]
    assert made.labels is None
    assert document["provenance"]["scoring"] == {"projection": "scoring.projection", "bias": "scoring.bias"}
    assert made.tensors["scoring.projection"].shape == (16, 8)
    less = {name: array for name, array in made.tensors.items() if not name.startswith("scoring.")}
    del document["provenance"]["scoring"]
    assert Model(document, less).weights_hash == made.weights_hash  # no output depends on it
    assert document["task"]["options"]["label"] is None


def test_training_says_that_labels_are_not_used(model: str) -> None:
    taken = Model.load(model).document["provenance"]["data"]["taken"]
    assert "text: column 'message'; column 'label' is not used (--label label learns from it)" in taken


def test_vectors_learn_what_follows(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = write_csv(tmp_path / "test.csv", {"message": [*texts(60, 2), " ", "a"]})
    assert main(["score", model, test, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["rows"], figures["empty"], figures["words"]) == (62, 1, 6 * 60)
    # of six words that follow, the first is one of three or four, and the last one of eight; the others are known
    assert 1.0 < figures["perplexity"] < 3.0
    assert figures["perplexity"] == pytest.approx(np.exp(figures["loss"]))
    held_out = Model.load(model).document["provenance"]["final"]
    assert figures["perplexity"] == pytest.approx(held_out["perplexity"], rel=0.3)
    assert main(["score", model, test]) == 0
    shown = capsys.readouterr().out
    assert "62 rows  360 predicted words  perplexity " in shown
    assert "1 row without a vector" in shown


def test_a_stream_ends_with_the_vector_of_the_whole_text(model: str) -> None:
    predictor = tidegate.load(model)
    (whole,) = predictor.answers(["one two three"])
    stream = predictor.stream()
    stream.push("one tw")
    assert stream.push("o three", end=True).values.tobytes() == whole.values.tobytes()
    steps = predictor.run_layers([predictor.model.inputs["x"].read_whole("one two three", None, None)[0].rows])[0]
    assert steps.shape == (3, 8)
    assert np.array_equal(steps[-1], whole.values)
    with pytest.raises(DataError, match="row 0: there is no token 9999"):
        predictor.run_layers([np.array([9999])])
    with pytest.raises(DataError, match="row 1: has the shape"):
        predictor.run_layers([np.array([1]), np.zeros(0, np.int32)])


def test_predict_gives_vectors_alone(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = write_csv(tmp_path / "new.csv", {"message": ["one two", " "], "more": [1, 2]})
    out, table = str(tmp_path / "v.npy"), str(tmp_path / "v.csv")
    assert main(["predict", model, new, "--json", "--vectors", out]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == ["text", "vector"]
    assert second == {"text": " ", "vector": None, "reason": "the message has no word"}
    vectors = np.load(out)
    assert np.allclose(vectors[0], first["vector"])
    assert np.isnan(vectors[1]).all()
    for _ in range(2):  # the second time over a file of its own kind
        assert main(["predict", model, new, "--out", table]) == 0
    rows = list(csv.reader(Path(table).read_text().splitlines()))
    assert rows[0] == ["text", *(f"vector_{k}" for k in range(1, 9))]
    assert np.allclose([float(cell) for cell in rows[1][1:]], first["vector"])
    assert rows[2][1:] == [""] * 8
    lines = str(tmp_path / "v.jsonl")
    for _ in range(2):
        assert main(["predict", model, new, "--out", lines]) == 0
    capsys.readouterr()
    assert main(["predict", model, "--message", "one two"]) == 0
    assert capsys.readouterr().out.endswith(" ...\tone two\n")


def test_verify_and_info_know_it(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", model]) == 0
    assert main(["info", model]) == 0
    assert "vector        8 numbers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--label", "intent"], "--label is for encoders trained with labels, which this one was not; leave it out"),
        (["--unseen", "wrong"], "--unseen is for encoders trained with labels"),
    ],
)
def test_score_refuses_flags_of_labels(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], why: str
) -> None:
    test = write_csv(tmp_path / "test.csv", {"message": texts(5, 2)})
    assert main(["score", model, test, *flags]) == 2
    assert why in capsys.readouterr().err


def test_a_file_that_has_nothing_to_predict_is_refused(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = write_csv(tmp_path / "test.csv", {"message": ["one", "two", ""]})
    assert main(["score", model, test]) == 2
    assert "nothing in it is followed by a step that the model can predict" in capsys.readouterr().err


def test_predict_refuses_flags_of_labels(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", model, "--message", "one", "--top", "3"]) == 2
    assert "--top is for labels, and this encoder was trained without; leave it out" in capsys.readouterr().err


def test_a_file_without_the_head_cannot_be_scored(model: str, tmp_path: Path) -> None:
    made = Model.load(model)
    document = made.document
    del document["provenance"]["scoring"]
    less = {name: array for name, array in made.tensors.items() if not name.startswith("scoring.")}
    predictor = tidegate.runtime.Predictor(Model(document, less))
    test = write_csv(tmp_path / "test.csv", {"message": texts(5, 2)})
    with pytest.raises(ModelFileError, match=r"provenance.scoring: 'projection' is missing"):
        encode.score(predictor, test, {})


def test_a_few_common_answers_are_not_all_that_is_held_out() -> None:
    """Equal rows stay together, so three of these would be more than the share of rows that is held out."""
    rows = ["yes", "no", "uh huh"] * 40 + [f"{text} {i}" for i, text in enumerate(texts(80, 1))]
    source = Table("t.csv", {"text": rows}, list(range(2, len(rows) + 2)), "a")
    problem = encode.prepare(source, None, encode.Options(hidden=4, size=4))
    assert len(problem.valid_rows) == 8
    assert min(problem.valid_rows) >= 120
    assert not [note for note in problem.notes[0] if "nothing is held out" in note]
    few = Table("t.csv", {"text": rows[:122]}, list(range(2, 124)), "a")
    assert len(encode.prepare(few, None, encode.Options(hidden=4, size=4, hold_out=0.4)).valid_rows)


# ---- own words


def test_the_last_vector_gives_back_words_of_its_text(tmp_path: Path) -> None:
    columns = {"text": [*texts(30, 1), " ".join(f"word{i}" for i in range(60))]}
    source = Table("t.csv", columns, list(range(2, 33)), "a")
    problem = encode.prepare(source, None, encode.Options(hidden=4, size=4, own_words=0.5))
    assert sorted(problem.loss_tensors) == ["bias", "own_projection", "projection"]
    assert problem.kept == ("projection", "bias")
    batch = problem.rows.batch(np.array([2, 30]), np.random.default_rng(0))
    words, ids = batch.targets["vector"], problem.rows.messages.ids
    ends = np.cumsum(batch.lengths) - 1
    assert words.shape == (sum(batch.lengths), 25)
    assert not np.delete(words[:, 1:], ends, 0).any()
    assert words[ends[0], 1 : 1 + len(ids[2])].tolist() == ids[2].tolist()
    drawn = words[ends[1], 1:]
    assert len(set(drawn.tolist())) == 24
    assert set(drawn.tolist()) <= set(ids[30].tolist())
    assert problem.rows.batch(np.array([2])).targets["vector"].shape[1] == 1  # what is measured is what follows

    def loss(own: float) -> float:
        made = encode.prepare(source, None, encode.Options(hidden=4, size=4, own_words=own))
        one = made.rows.batch(np.arange(8), np.random.default_rng(0))
        tensors = {
            name: torch.from_numpy(array) for name, array in {**made.init_weights(), **made.loss_tensors}.items()
        }
        vectors = {"vector": torch.ones(sum(one.lengths), 4)}
        return float(made.loss(vectors, one, tensors, np.random.default_rng(0)))

    following, both, mostly = loss(0.0), loss(1.0), loss(99.0)
    assert both == pytest.approx((following + 2 * both - following) / 2)
    assert mostly == pytest.approx((following + 99 * (2 * both - following)) / 100, rel=1e-4)


@pytest.mark.parametrize("more", [{"label": "y"}, {"pairs": "y"}, {"conversation": "y", "turn": "t"}])
def test_own_words_are_for_single_texts(more: dict[str, str]) -> None:
    with pytest.raises(
        OptionError, match=f"own_words is for single texts without labels or pairs, and {next(iter(more))}"
    ):
        encode.Options(own_words=1.0, **more)


# ---- options and data that do not fit


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"smoothing": 0.1}, "smoothing is for labels, and none are used; name their column with --label, or leave"),
        ({"label_separator": ";"}, "label_separator is for labels, and none are used"),
        ({"class_weights": "balanced"}, "class_weights is for labels"),
        ({"prefix": 0.3}, "prefix is for labels"),
        ({"direction": "both"}, "direction is 'both', which also reads the steps that are to be predicted"),
    ],
)
def test_options_of_labels_are_refused(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", {"text": texts(40, 1)})
    with pytest.raises(OptionError, match=why):
        fit("encode", train, encode.Options(**options), str(tmp_path / "e.safetensors"))
    with_labels = encode.Options(label="label", **options)
    assert with_labels.label == "label"


def test_a_missing_column_of_texts_is_suggested_without_labels(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", {"utterance": texts(40, 1), "n": list(range(40))})
    with pytest.raises(DataError, match="'utterance' looks like text: use --text utterance"):
        fit("encode", train, encode.Options(), str(tmp_path / "e.safetensors"))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (["hello"] * 20, "there are not two or more rows that differ"),
        ([f"word{i}" for i in range(40)], "nothing in the rows is followed by a step to predict"),
        ([f"only{i} once{i}" for i in range(40)], "nothing in the held-out rows is followed by a step to predict"),
        (["hello you", ""], "line 3|:3: the text in column 'text' is empty"),
    ],
)
def test_texts_that_nothing_can_be_learnt_from_are_refused(rows: list[str], why: str, tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", {"text": rows, "n": list(range(len(rows)))})
    with pytest.raises(DataError, match=why):
        fit("encode", train, encode.Options(refit_epochs=0), str(tmp_path / "e.safetensors"))
    assert not (tmp_path / "e.safetensors").exists()


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", {"text": texts(60, 1)})
    options = encode.Options(hidden=4, size=4, epochs=2, refit_epochs=1, average=0.9)
    whole = fit("encode", train, options, str(tmp_path / "a.safetensors"))

    made = TrainingJob(encode, options, encode.read(train, options), None, 1)
    run = made.run(None)
    for _, _ in zip(range(9), run.run(), strict=False):
        pass
    out = str(tmp_path / "b.safetensors")
    checkpoint.save(checkpoint.path_of(out), run, made.identity())
    resumed = fit("encode", train, options, out, resume=True)
    assert resumed.weights_hash == whole.weights_hash
    for name in ("scoring.projection", "scoring.bias"):
        assert np.array_equal(resumed.tensors[name], whole.tensors[name])


def test_a_frame_that_is_a_table_is_read_as_it_is() -> None:
    table = Table("t.csv", {"text": texts(30, 3)}, list(range(2, 32)), "a")
    assert encode.read(table, encode.Options()) is table

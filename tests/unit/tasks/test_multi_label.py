"""Rows with any number of labels: cells, the split, the loss, evaluation and metrics."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tidegate
from tidegate.cli.score import measure
from tidegate.data.series import from_arrays
from tidegate.data.table import Table
from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.runtime import Predictor, Scores
from tidegate.tasks import classify
from tidegate.tasks._calibration import binary_log_losses, fit_logit_scale
from tidegate.tasks._classes import Classification, measure_label_sets
from tidegate.tasks._classified_series import read_unlabelled
from tidegate.tasks._holdout import split
from tidegate.tasks._labels import class_weights, strata_of
from tidegate.tasks._metrics import score
from tidegate.tasks.base import Batch
from tidegate.train import Progress, fit

SMALL: dict[str, Any] = {"hidden": 12, "embed": 12, "epochs": 8, "batch": 8, "rate": 0.02, "refit_epochs": 0}
WORDS = {"weather": ["rain", "sun", "storm"], "music": ["play", "song", "band"], "money": ["pay", "bank", "bill"]}
SEVERAL = classify.Options(label_separator=";")


def table(labels: list[str]) -> Table:
    return Table(
        "t.csv",
        {"text": [f"row {i}" for i in range(len(labels))], "label": labels},
        list(range(2, len(labels) + 2)),
        "",
    )


def make_problem(labels: list[str], **values: Any) -> Classification:
    return classify.prepare(table(labels), None, classify.Options(label_separator=";", **values))


def write_rows(path: Path, count: int, seed: int) -> Path:
    """Write rows with none to three labels, each given by two words in the text."""
    rng = np.random.default_rng(seed)
    lines = ["text,label"]
    for _ in range(count):
        names = sorted(rng.choice(list(WORDS), rng.integers(0, 4), replace=False))
        words = ["the", "a", "please", *(str(w) for name in names for w in rng.choice(WORDS[name], 2))]
        lines.append(" ".join(rng.permutation(words)) + "," + " ; ".join(names))
    path.write_text("\n".join(lines) + "\n")
    return path


# ---- cells


def test_a_cell_holds_any_number_of_labels() -> None:
    targets, labels = classify.read_targets(table(["b; a", "", "c", "a;b;c", " "]), SEVERAL)
    assert labels == ["a", "b", "c"]
    assert targets.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]]
    assert targets.dtype == np.float32


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("a;;b", "t.csv:3: the labels in column 'label' are 'a;;b'; an entry is empty"),
        ("a;", "t.csv:3: the labels in column 'label' are 'a;'; an entry is empty"),
        ("; a", "an entry is empty; remove the extra ';'"),
        ("b;a; b", "t.csv:3: the labels in column 'label' are 'b;a; b'; 'b' appears twice"),
    ],
)
def test_a_cell_that_is_no_list_of_labels_is_refused(cell: str, sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        classify.read_targets(table(["a", cell]), SEVERAL)
    assert sentence in str(caught.value)


def test_a_separator_may_be_anything_but_empty() -> None:
    targets, labels = classify.read_targets(table(["a b", "a"]), classify.Options(label_separator=" "))
    assert (labels, targets.tolist()) == (["a", "b"], [[1, 1], [1, 0]])
    assert classify.read_targets(table(["a, b", "c"]), classify.Options(label_separator=", "))[1] == ["a", "b", "c"]
    with pytest.raises(OptionError, match="label_separator is empty"):
        classify.Options(label_separator="")


def test_an_unseen_label_is_an_error_or_a_column_of_its_own() -> None:
    rows = table(["a", "b;new;newer"])
    with pytest.raises(DataError, match="t.csv:3: label 'new' was not seen in training.*--unseen wrong"):
        classify.read_targets(rows, SEVERAL, ["a", "b"])
    targets, labels = classify.read_targets(rows, SEVERAL, ["a", "b"], "wrong")
    assert labels == ["a", "b"]
    assert targets.tolist() == [[1, 0, 0, 0], [0, 1, 1, 1]]


def test_what_was_taken_says_how_many_labels_rows_have() -> None:
    assert (
        make_problem(["a;b", "", "a", ""] * 5)
        .summaries[0]
        .endswith("label: column 'label' (2 labels separated by ';', 0 to 2 per row, 10 rows without)")
    )
    assert (
        make_problem(["a", "b"] * 5).summaries[0].endswith("(2 labels separated by ';', which never occurs, 1 per row)")
    )


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["", ""], "t.csv: column 'label' is empty in every row; training needs labels"),
        (
            ["a;b", "b;a"],
            "t.csv: column 'label' has the same labels in every row, 'a', 'b'; training needs rows that differ",
        ),
        (["a", "b"], "too few rows to hold some out"),
    ],
)
def test_rows_that_teach_nothing_are_refused(labels: list[str], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        make_problem(labels)
    assert sentence in str(caught.value)


def test_one_label_that_some_rows_have_is_enough_and_one_that_all_have_is_no_fault() -> None:
    assert make_problem(["spam", "", ""] * 4).outputs["label"]["labels"] == ["spam"]
    assert make_problem(["all;a", "all", "all;b"] * 4).outputs["label"]["labels"] == ["a", "all", "b"]


# ---- training data


def test_a_row_is_held_out_as_one_of_its_rarest_label() -> None:
    targets = np.array([[1, 0, 0]] * 40 + [[1, 1, 0]] * 20 + [[1, 1, 1]] * 2 + [[0, 0, 0]] * 10, np.float32)
    kinds = strata_of(targets)
    assert kinds.tolist() == [0] * 40 + [1] * 20 + [2] * 2 + [3] * 10
    kept, held = split(kinds, 0.1, 5)
    assert np.bincount(kinds[held]).tolist() == [4, 2, 1, 1]
    assert targets[kept].any(0).all()
    assert all(np.array_equal(a, b) for a, b in zip((kept, held), split(kinds, 0.1, 5), strict=True))
    assert not np.array_equal(held, split(kinds, 0.1, 6)[1])


def test_balanced_weights_make_rows_with_and_without_a_label_count_alike() -> None:
    targets = np.array([[1, 1, 1, 0]] * 10 + [[1, 0, 1, 0]] * 90, np.float32)
    targets[50:, 2] = 0
    assert class_weights(targets, 4, True).tolist() == pytest.approx([0.01, 9, 1, 100])
    assert class_weights(targets, 4, False).tolist() == [1, 1, 1, 1]


def test_the_loss_is_the_mean_binary_cross_entropy_of_smoothed_targets() -> None:
    problem = replace(make_problem(["a;b", "b"] * 10, smoothing=0.2), class_weights=np.array([3.0, 1.0], np.float32))
    batch = Batch({}, np.array([1]), {"label": np.array([[1.0, 0.0]], np.float32)})
    found = problem.loss({"label": torch.tensor([[2.0, -1.0]])}, batch)
    p = 1 / (1 + np.exp([-2.0, 1.0]))
    wanted = -(3 * 0.9 * np.log(p[0]) + 0.1 * np.log(1 - p[0])) - (0.1 * np.log(p[1]) + 0.9 * np.log(1 - p[1]))
    assert float(found) == pytest.approx(wanted / 2, rel=1e-6)


def test_the_layers_end_in_a_sigmoid_and_smoothing_is_left_out_unless_asked_for() -> None:
    found = make_problem(["a;b", "b"] * 10)
    assert [layer.kind for layer in found.layers][-2:] == ["pool", "dense"]
    assert found.layers[-1].activation == "sigmoid"
    assert found.options.smoothing == 0.0
    assert make_problem(["a;b", "b"] * 10, smoothing=0.1).options.smoothing == 0.1


# ---- evaluation


def test_the_judge_looks_at_micro_f1_then_log_loss() -> None:
    logits = np.array([[3.0, -2.0], [1.0, 0.5], [-1.0, -1.0]])
    truth = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    figures = measure_label_sets(logits, truth)
    assert figures["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    p = 1 / (1 + np.exp(-logits))
    assert figures["log_loss"] == pytest.approx(-np.where(truth > 0, np.log(p), np.log(1 - p)).mean())
    problem = make_problem(["a;b", "b"] * 10)
    assert problem.rank({"micro_f1": 0.5, "log_loss": 0.1}) > problem.rank({"micro_f1": 0.5, "log_loss": 0.2})


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_factor_that_made_the_labels_is_found(factor: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * 2
    truth = (rng.random((4000, 3)) < 1 / (1 + np.exp(-factor * logits))).astype(np.float32)
    assert fit_logit_scale(logits, truth, binary_log_losses) == pytest.approx(factor, rel=0.1)
    assert np.isfinite(binary_log_losses(1e4 * logits, truth)).all()


def test_figures_equal_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    p, truth = rng.random((200, 4)), rng.random((200, 4)) < 0.4
    truth[:, 0] |= ~truth.any(1)  # scikit-learn has no F1 of a row without labels
    said, got = p >= 0.5, score(p, list(truth.astype(np.float32)), list("abcd"))
    for name, kind in (("micro_f1", "micro"), ("macro_f1", "macro"), ("sample_f1", "samples")):
        assert got[name] == pytest.approx(metrics.f1_score(truth, said, average=kind, zero_division=0)), name
    assert got["subset_accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    assert got["hamming_loss"] == pytest.approx(metrics.hamming_loss(truth, said))
    assert got["labels"]["b"]["precision"] == pytest.approx(metrics.precision_score(truth[:, 1], said[:, 1]))
    assert got["log_loss"] == pytest.approx(np.mean([metrics.log_loss(truth[:, k], p[:, k]) for k in range(4)]))


def test_figures_by_hand() -> None:
    p = np.array([[0.9, 0.5], [0.1, 0.4], [0.2, 0.3]])
    truth = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1]], np.float32)  # the last column: a label that is not known
    got = score(p, list(truth), ["a", "b"])
    assert got["subset_accuracy"] == pytest.approx(2 / 3)
    assert got["micro_f1"] == pytest.approx(2 * 2 / (2 + 4))
    assert got["sample_f1"] == pytest.approx((1 + 1 + 0) / 3)  # without labels and predictions a row is right
    assert got["hamming_loss"] == pytest.approx(2 / 9)
    assert got["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert (got["unseen"], got["labels"]["b"]["support"]) == (1, 2)
    assert (got["labels_a_row"], got["predicted_a_row"]) == pytest.approx((4 / 3, 2 / 3))


# ---- from fit to predictions


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    out = folder / "m.safetensors"
    fit("classify", write_rows(folder / "t.csv", 160, 0), out=str(out), label_separator=";", **SMALL)
    return out


def test_a_fit_learns_streams_and_chooses(fitted: Path) -> None:
    recorded = Model.load(fitted).document["provenance"]
    assert recorded["metrics"]["held_out"]["micro_f1"] > 0.9
    model = tidegate.load(fitted)
    text = "play the song in the rain"
    assert model.predict_labels([text, "the"])[0] == ["music", "weather"]
    with pytest.raises(OptionError, match="this model can give an input several labels; use predict_labels"):
        model.classify([text])
    stream, pool = model.stream(), model.pool()
    last = [stream.push(word) for word in text.split(" ") for word in (word, " ")][-1]
    (pooled,) = pool.push([("x", text + " ")])
    assert last.predicted_labels == pooled.predicted_labels == ["music", "weather"]
    assert last.label == pooled.label == last.top(1)[0][0]
    assert last.as_dict()["labels"] == ["music", "weather"]
    assert np.array_equal(last.values, model.predict([text])[0])


def test_rows_are_scored_by_the_threshold_in_the_file(fitted: Path) -> None:
    model, file = Model.load(fitted), fitted.parent / "t.csv"
    document = model.document
    document["outputs"]["label"]["threshold"] = 0.97
    strict = Predictor(Model(document, model.tensors))
    got = classify.score(strict, str(file), {}).as_dict()
    assert got["threshold"] == 0.97
    texts = [line.rpartition(",")[0] for line in file.read_text().splitlines()[1:]]
    assert got["predicted_a_row"] == pytest.approx(np.mean([len(one) for one in strict.predict_labels(texts)]))
    assert got["predicted_a_row"] < classify.score(Predictor(model), str(file), {}).as_dict()["predicted_a_row"]


def test_an_interrupted_run_is_resumed_to_the_same_bits(fitted: Path, tmp_path: Path) -> None:
    def press(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (3, 2):
            signal.raise_signal(signal.SIGINT)

    data = {"label_separator": ";", "out": str(tmp_path / "m"), **SMALL}
    with pytest.raises(KeyboardInterrupt):
        fit("classify", fitted.parent / "t.csv", progress=press, **data)
    with pytest.raises(OptionError, match="options label_separator was ';' and is ' ; ' now"):
        fit("classify", fitted.parent / "t.csv", resume=True, **{**data, "label_separator": " ; "})
    resumed = fit("classify", fitted.parent / "t.csv", resume=True, **data)
    assert resumed.weights_hash == Model.load(fitted).weights_hash


def test_scores_of_both_kinds_choose() -> None:
    values = np.array([0.5, 0.4999, 0.7], np.float32)
    assert Scores(values, ["a", "b", "c"], multi_label=True).predicted_labels == ["a", "c"]
    assert Scores(values - 0.4, ["a", "b", "c"], multi_label=True).predicted_labels == []
    assert Scores(values, ["a", "b", "c"]).predicted_labels == ["c"]
    assert Scores(None, ["a"], "no step yet", multi_label=True).as_dict()["labels"] == []
    assert "labels" not in Scores(values, ["a", "b", "c"]).as_dict()


def test_a_file_to_judge_by_is_read_with_the_same_labels(fitted: Path, tmp_path: Path) -> None:
    train, valid = write_rows(tmp_path / "t.csv", 60, 1), write_rows(tmp_path / "v.csv", 30, 2)
    said: list[str] = []
    few = {**SMALL, "epochs": 1, "class_weights": "balanced", "direction": "both"}
    model = fit("classify", train, out=str(tmp_path / "m"), valid=valid, say=said.append, label_separator=";", **few)
    assert model.document["provenance"]["rows"] == {"trained": 60, "held_out": 30}
    assert ["3 labels separated by ';', 0 to 3 per row" in sentence for sentence in said[:2]] == [True, True]
    valid.write_text("text,label\nrain,weather;snow\n")
    with pytest.raises(DataError, match="v.csv:2: label 'snow' was not seen in training; leave the row out"):
        fit("classify", train, out=str(tmp_path / "m"), valid=valid, label_separator=";", **few)


# ---- series


def write_series(path: Path, count: int, seed: int, labelled: bool = True) -> Path:
    """Write a long table with the labels `up` (a level over 0) and `busy` (a noisy series), both or neither."""
    rng = np.random.default_rng(seed)
    lines = ["id,value,other,label"[: None if labelled else -6]]
    for i in range(count):
        up, busy = rng.random(2) < 0.5
        names = ";".join([*["busy"] * bool(busy), *["up"] * bool(up)])
        for t in range(12):
            value = (1 if up else -1) + rng.normal() * (1.5 if busy else 0.1)
            lines.append(f"s{i},{value:.3f},{t % 5},{names}"[: None if labelled else -1 - len(names)])
    path.write_text("\n".join(lines) + "\n")
    return path


def test_series_may_have_several_labels_or_none(tmp_path: Path) -> None:
    train, out = write_series(tmp_path / "t.csv", 120, 0), tmp_path / "m.safetensors"
    said: list[str] = []
    values = {"hidden": 12, "epochs": 12, "rate": 0.01, "refit_epochs": 0}
    fit("classify", train, out=str(out), id="id", label_separator=";", say=said.append, **values)
    assert "2 labels separated by ';', 0 to 2 per row, " in said[0]
    metrics = measure(str(out), str(write_series(tmp_path / "v.csv", 60, 1))).as_dict()
    assert metrics["micro_f1"] > 0.85
    assert metrics["labels"]["up"]["support"] > 10
    with pytest.raises(OptionError, match="--text is for messages, but this model takes series; leave it out"):
        measure(str(out), str(train), {"text": "id"})
    model, x = tidegate.load(out), np.column_stack([np.ones(12), np.arange(12) % 5])
    stream = model.stream()
    last = [stream.push(step) for step in x][-1]
    assert last.predicted_labels == model.predict_labels([x])[0] == ["up"]
    assert np.array_equal(last.values, model.predict([x])[0])


def test_series_of_any_source_may_be_without_labels_where_several_are_allowed(tmp_path: Path) -> None:
    found = from_arrays(np.zeros((3, 4)), labels=["a;b", "", "b"], unlabelled=True)
    assert classify.read_targets(found, SEVERAL)[0].tolist() == [[1, 1], [0, 0], [0, 1]]
    with pytest.raises(DataError, match="series 2: the label is empty; give it a name"):
        from_arrays(np.zeros((3, 4)), labels=["a;b", "", "b"])
    np.savez(tmp_path / "t.npz", x=np.zeros((2, 4)), y=np.array(["", "a"]))
    (tmp_path / "rows.csv").write_text("label,t1,t2\na;b,1,2\n,3,4\n")
    for source, labels in (("t.npz", ["", "a"]), ("rows.csv", ["a;b", ""])):
        options = classify.Options(label_separator=";", input="series", layout="rows")
        assert [s.label for s in classify.read(tmp_path / source, options).series] == labels
        with pytest.raises(DataError, match="empty; give it a name|no label in column 'label'"):
            classify.read(tmp_path / source, classify.Options(input="series", layout="rows"))


@pytest.mark.parametrize("layout", ["steps", "rows", "npz"])
def test_a_model_of_series_is_asked_without_labels(tmp_path: Path, layout: str) -> None:
    if layout == "npz":
        np.savez(tmp_path / "new.npz", x=np.arange(6.0).reshape(2, 3))
        source, options, columns = tmp_path / "new.npz", classify.Options(input="series"), ["value"]
    elif layout == "rows":
        (tmp_path / "new.csv").write_text("t1,t2,t3,label\n0,1,2,a\n3,4,5,\n")
        source, options, columns = tmp_path / "new.csv", classify.Options(input="series"), ["value"]
    else:
        (tmp_path / "new.csv").write_text("note,id,value\nx,p,0\nx,q,3\nx,p,1\nx,q,4\nx,p,2\nx,q,5\n")
        source, options, columns = tmp_path / "new.csv", classify.Options(input="series", id="id"), ["value"]
    found = read_unlabelled(source, options, columns)
    assert [s.values[:, 0].tolist() for s in found.series] == [[0, 1, 2], [3, 4, 5]]

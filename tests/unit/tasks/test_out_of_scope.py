"""Rows out of scope: what is learnt from them, the threshold, its figures, and all answers without a label."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tidegate
from tidegate.cli import main
from tidegate.cli.score import measure
from tidegate.data.series import from_arrays
from tidegate.data.table import Table
from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.outputs import Reject
from tidegate.runtime import Predictor
from tidegate.tasks import _out_of_scope, classify, encode
from tidegate.tasks._labels import OUT_OF_SCOPE, single_targets
from tidegate.tasks.base import Batch, Predictions
from tidegate.train import fit

SMALL: dict[str, Any] = {"hidden": 12, "embed": 12, "epochs": 8, "batch": 8, "rate": 0.02}
WORDS = {"weather": ["rain", "sun", "storm"], "music": ["play", "song", "band"], "money": ["pay", "bank", "bill"]}
OTHER = ["chess", "garden", "moon", "soup", "shoe", "tree", "horse", "piano"]


def write_rows(path: Path, count: int, seed: int, outside: str | None = "other") -> Path:
    """Write rows of three labels, each given by its words, and some with words of none."""
    rng = np.random.default_rng(seed)
    lines = ["text,label"]
    for i in range(count):
        label = [*WORDS, *([outside] if outside else [])][i % (3 + bool(outside))]
        words = ["the", "please", *(str(w) for w in rng.choice(WORDS.get(str(label), OTHER), 3))]
        lines.append(f"{' '.join(rng.permutation(words))} {i},{label}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a model that learnt from rows out of scope, its data and other rows."""
    folder = tmp_path_factory.mktemp("scope")
    train = write_rows(folder / "train.csv", 240, 0)
    write_rows(folder / "test.csv", 120, 1)
    fit("classify", str(train), out=folder / "m.safetensors", out_of_scope="other", **SMALL)
    return folder


def table(texts: list[str], labels: list[str]) -> Table:
    return Table("t.csv", {"text": texts, "label": labels}, list(range(2, len(texts) + 2)), "")


def make_problem(labels: list[str], **values: Any) -> Any:
    return classify.prepare(table([f"row {i}" for i in range(len(labels))], labels), None, classify.Options(**values))


def floats(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


# ---- rows and options


def test_rows_out_of_scope_are_no_label() -> None:
    cells = [("1", "b"), ("2", "other"), ("3", "a")]
    targets, labels = single_targets(cells, "label", outside="other")
    assert (targets.tolist(), labels) == ([1, OUT_OF_SCOPE, 0], ["a", "b"])
    problem = make_problem(["a", "b", "other"] * 20, out_of_scope="other")
    assert problem.outputs["label"]["labels"] == ["a", "b"]
    assert problem.outputs["label"]["reject"] == {"score": "entropy", "threshold": 0.0}
    assert problem.summaries[0].endswith("(2 labels, 20 rows out of scope)")
    assert problem.exposure == pytest.approx(0.5 * 36 / 18)
    assert "reject" not in make_problem(["a", "b"] * 20).outputs["label"]


def test_the_loss_draws_rows_out_of_scope_to_equal_probabilities() -> None:
    problem = make_problem(["a", "b", "other"] * 20, out_of_scope="other", smoothing=0.0)
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]], dtype=torch.float64).float()
    found = problem.loss({"label": logits}, Batch({}, np.array([1, 1, 1]), {"label": np.array([0, OUT_OF_SCOPE, 1])}))
    logs = torch.log_softmax(logits, 1).numpy()
    wanted = -(logs[0, 0] + logs[2, 1] + problem.exposure * logs[1].mean()) / (2 + problem.exposure)
    assert float(found) == pytest.approx(wanted, rel=1e-6)
    for one in (0, OUT_OF_SCOPE):  # a batch of one kind alone
        alone = problem.loss({"label": logits[:1]}, Batch({}, np.array([1]), {"label": np.array([one])}))
        assert np.isfinite(float(alone))


def test_the_threshold_is_one_of_held_out_rows_in_scope_and_calibrated() -> None:
    problem = make_problem(["a", "b"] * 50, reject=0.1)
    rng = np.random.default_rng(2)
    outputs, targets = rng.normal(0, 2, (40, 2)), rng.integers(0, 2, 40)
    found = problem.calibrate(Predictions(40, {"label": outputs}, {"label": targets}, {"label": np.arange(40)}))[
        "label"
    ]
    entropies = _out_of_scope.measure_entropies(found["factor"] * outputs)
    assert (entropies > found["threshold"]).sum() == 4
    assert found["lost"] == 0.1
    assert "found" not in found


@pytest.mark.parametrize(
    ("labels", "values", "sentence"),
    [
        (
            ["a", "b"],
            {"out_of_scope": "other"},
            "t.csv: no row has the label 'other' in column 'label', which --out-of",
        ),
        (
            ["a", "other"],
            {"out_of_scope": "other"},
            "t.csv: column 'label' has only one class, 'a'; training needs two",
        ),
        (["other"], {"out_of_scope": "other"}, "t.csv: column 'label' has no row in scope; training needs two or more"),
    ],
)
def test_rows_from_which_nothing_can_be_learnt_are_refused(labels: Any, values: Any, sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        make_problem(labels * 20, **values)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"out_of_scope": " "}, "out_of_scope is empty; give what stands in the column of labels, or leave it out"),
        ({"reject": 0.95}, "reject is 0.95; it must be 0.0 to 0.9"),
        (
            {"reject": 0.1, "label_separator": ";"},
            "reject is for rows with one label each; with --label-separator a row",
        ),
        (
            {"out_of_scope": "x", "label_separator": ";"},
            "leave the label cells of rows out of scope empty, and --out-of",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(values: Any, sentence: str) -> None:
    with pytest.raises(OptionError) as caught:
        classify.Options(**values)
    assert sentence in str(caught.value)


def test_an_encoder_without_labels_has_no_use_for_them(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "t.csv", 30, 0)
    for name, value in (("reject", 0.1), ("out_of_scope", "other")):
        with pytest.raises(OptionError, match=f"{name} is for labels, and none are used"):
            encode.read(str(source), encode.Options(**{name: value}))


def test_a_single_row_out_of_scope_cannot_choose_the_threshold(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "t.csv", 90, 0, None)
    source.write_text(source.read_text() + "the moon,other\n")
    with pytest.raises(DataError, match="no row with the label 'other' is held out, so no threshold can be chosen by"):
        fit("classify", str(source), out=tmp_path / "m.safetensors", out_of_scope="other", **SMALL)
    values = SMALL | {"epochs": 1, "refit_epochs": 0}
    model = fit("classify", str(source), out=tmp_path / "m.safetensors", out_of_scope="other", reject=0.2, **values)
    assert model.document["provenance"]["calibration"]["lost"] <= 0.2
    assert "out_of_scope_auroc" not in model.document["provenance"]["metrics"]["held_out"]


# ---- answers


def test_a_file_has_the_rule_and_every_answer_follows_it(files: Path) -> None:
    model = Model.load(files / "m.safetensors")
    assert model.labels == ["money", "music", "weather"]
    rule = Reject(**model.document["outputs"]["label"]["reject"])
    predictor = Predictor(model, threads=1)
    texts = ["please the moon soup piano", "please the bank bill pay"]
    outside, inside = predictor.answers(texts)
    assert (inside.label, inside.reason) == ("money", "")
    assert (outside.label, outside.predicted_labels) == (None, [])
    assert outside.reason == rule.reason(outside.values)
    assert outside.reason.startswith("out of scope: the entropy of the probabilities is ")
    assert predictor.predict_labels(texts) == [[], ["money"]]
    assert predictor.classify(texts) == [None, "money"]
    stream, pool = predictor.stream(), predictor.pool()
    for text, whole in zip(texts, (outside, inside), strict=True):
        for cut in (text.split(" please ", 1), list(text)):
            *first, last = cut
            for piece in first:
                stream.push(piece)
                pool.push_one("a", piece)
            assert stream.push(last, end=True).as_dict() == whole.as_dict()
            assert pool.push_one("a", last, end=True).as_dict() == whole.as_dict()
    assert pickle.loads(pickle.dumps(outside)).as_dict() == outside.as_dict()


def test_the_rule_is_a_part_of_what_decides_an_answer(files: Path, tmp_path: Path) -> None:
    model = Model.load(files / "m.safetensors")
    document = model.document
    document["outputs"]["label"]["reject"] = {"score": "max_probability", "threshold": 1.0}
    other = Model(document, model.tensors)
    assert other.weights_hash != model.weights_hash
    other.save(tmp_path / "strict.safetensors")
    answer = tidegate.load(tmp_path / "strict.safetensors").answers(["please the bank bill pay"])[0]
    assert answer.reason.endswith(", below 1")
    del document["outputs"]["label"]["reject"]
    assert Predictor(Model(document, model.tensors), threads=1).answers(["moon soup"])[0].label is not None


def test_commands_say_why_there_is_no_label(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = str(files / "m.safetensors"), ["--message", "the moon soup piano", "--message", "bank bill pay"]
    assert main(["predict", model, *asked]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("(none: out of scope: the entropy")
    assert second.startswith("money ")
    assert main(["predict", model, *asked, "--top", "2", "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["label"] is None
    assert first["top"][0][1] == first["score"]
    assert (second["label"], "reason" in second) == ("money", False)
    assert main(["predict", model, str(files / "test.csv"), "--top", "2", "--out", str(tmp_path / "p.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert list(rows[0]) == ["text", "label", "score", "label_1", "score_1", "label_2", "score_2", "reason"]
    assert all(bool(row["reason"]) != bool(row["label"]) and row["label_1"] in WORDS for row in rows)
    assert {bool(row["label"]) for row in rows} == {True, False}
    assert main(["info", model]) == 0
    assert "no label      where the entropy of the probabilities is above" in capsys.readouterr().out
    assert main(["export", model, "--to", "c", "--out", str(tmp_path / "m.c")]) == 0
    header = " ".join((tmp_path / "m.h").read_text().replace("\n *", "").split())
    assert "an input has none of them where the entropy of the probabilities is above" in header


def test_score_counts_what_is_lost_and_what_is_found(files: Path) -> None:
    found = measure(str(files / "m.safetensors"), str(files / "test.csv"))
    m = found.as_dict()
    assert (m["rows"], m["out_of_scope"]["rows"], m["reject"]["rows"]) == (90, 30, 120)
    assert m["out_of_scope"]["auroc"] > 0.8
    lost = round(90 * m["reject"]["lost"])
    assert sum(n for _, said, n in m["confusions"] if said == "(none)") == lost
    assert m["reject"]["answered"] == 90 - lost + 30 - round(30 * m["reject"]["recall"])
    report = found.report(100)
    assert f"30 rows out of scope  AUROC {m['out_of_scope']['auroc']:.4f}" in report
    assert "if only the surest rows in scope are answered, by the entropy of the probabilities  AURC" in report
    assert "\n95 %" in report


def test_score_takes_a_label_that_training_did_not_see(files: Path, tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.csv", 120, 0, None)
    test = write_rows(tmp_path / "test.csv", 120, 1, "never seen")
    model = str(tmp_path / "m.safetensors")
    fit("classify", str(train), out=model, reject=0.05, **SMALL)
    with pytest.raises(DataError, match="label 'never seen' was not seen in training.*--out-of-scope"):
        measure(model, str(test))
    m = measure(model, str(test), {"out_of_scope": "never seen"}).as_dict()
    assert (m["rows"], m["out_of_scope"]["rows"], m["doubt"]) == (90, 30, "entropy")
    with pytest.raises(OptionError, match="out_of_scope is 'money', which is one of the model's labels"):
        measure(model, str(train), {"out_of_scope": "money"})
    with pytest.raises(DataError, match=r"train\.csv: no row has the label 'never seen' in column 'label'"):
        measure(model, str(train), {"out_of_scope": "never seen"})
    alone = tmp_path / "alone.csv"
    alone.write_text("text,label\nmoon,never seen\n")
    with pytest.raises(DataError, match=r"alone\.csv: every row is out of scope"):
        measure(model, str(alone), {"out_of_scope": "never seen"})


def test_by_default_nothing_is_rejected_and_score_ranks_by_the_largest_probability(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.csv", 60, 0, None)
    values = SMALL | {"epochs": 1}
    model = fit("classify", str(train), out=tmp_path / "m.safetensors", **values)
    assert "reject" not in model.document["outputs"]["label"]
    m = measure(str(tmp_path / "m.safetensors"), str(train)).as_dict()
    assert (m["doubt"], "reject" in m, "out_of_scope" in m) == ("max_probability", False, False)
    assert m["risk_coverage"]["errors"][0][1] == pytest.approx(1 - m["accuracy"])


def test_series_and_encoders_may_be_out_of_scope_as_well(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    waves = [np.sin(np.arange(12) * (1 + i % 2)) * bool(i % 3) + rng.normal(0, 0.3, 12) for i in range(90)]
    labels = [("slow", "fast")[i % 2] if i % 3 else "noise" for i in range(90)]
    source = from_arrays(waves, labels=labels)
    model = fit("classify", source, out=tmp_path / "s.safetensors", out_of_scope="noise", **(SMALL | {"epochs": 2}))
    assert model.labels == ["fast", "slow"]
    assert "reject" in model.document["outputs"]["label"]
    train = write_rows(tmp_path / "train.csv", 120, 0)
    values = SMALL | {"epochs": 4, "label": "label", "size": 8, "out_of_scope": "other"}
    fit("encode", str(train), out=tmp_path / "e.safetensors", **values)
    answers = tidegate.load(tmp_path / "e.safetensors").answers(["moon soup tree", "bank bill pay"])
    assert answers[0]["vector"].values is not None
    assert answers[0].as_dict()["label"]["scores"].keys() == set(WORDS)


def test_messages_in_conversations_may_be_out_of_scope(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "plain.csv", 120, 0).read_text().splitlines()[1:]
    lines = ["text,label,talk,turn", *(f"{row},{i // 6},{i % 6}" for i, row in enumerate(rows))]
    (tmp_path / "talks.csv").write_text("\n".join(lines) + "\n")
    values = SMALL | {"epochs": 3, "context": 8, "conversation": "talk", "turn": "turn", "out_of_scope": "other"}
    fit("classify", str(tmp_path / "talks.csv"), out=tmp_path / "m.safetensors", **values)
    m = measure(str(tmp_path / "m.safetensors"), str(tmp_path / "talks.csv")).as_dict()
    assert (m["rows"], m["out_of_scope"]["rows"]) == (90, 30)
    predictor = tidegate.load(tmp_path / "m.safetensors")
    whole = predictor.answers([["the bank bill pay", "moon soup tree"]])[0]
    labels = [one.label for one in whole]
    assert predictor.classify([["the bank bill pay", "moon soup tree"]]) == [labels]
    stream = predictor.stream()
    said = [stream.push("the bank bill pay", end=True), stream.push("moon soup tree", end=True)]
    assert [one.as_dict() for one in said] == [one.as_dict() for one in whole]

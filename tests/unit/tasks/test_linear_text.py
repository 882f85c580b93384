"""A linear model of texts: the scores of a plain pipeline, and a joined graph that adds it to the network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from tidegate import tasks
from tidegate.data.table import Table
from tidegate.document import assemble
from tidegate.errors import MissingExtra, OptionError
from tidegate.features.ngrams import NO_WORD, append_word, hash_characters, hash_pair, hash_word
from tidegate.features.text import Tokenizer
from tidegate.model import Model
from tidegate.runtime import Predictor
from tidegate.tasks import _linear_text, _ngram_counts
from tidegate.tasks._linear_text import MARGIN, MAX_SCALED, ROUGH, TextCounts, scale_of, spread_columns
from tidegate.train.job import TrainingJob, fit

FEW = ["weather", "music", "money"]
WORDS = ["rain", "storm", "sun", "song", "band", "play", "pay", "bank", "bill", "día", "日本", "the", "a"]
SMALL = {"hidden": 6, "embed": 5, "epochs": 1, "batch": 8}


def make_texts(count: int, labels: int, seed: int = 0) -> tuple[list[list[bytes]], np.ndarray]:
    """Make texts of which some words depend on the label."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % labels
    rows = [[*rng.choice(WORDS, rng.integers(1, 6)), WORDS[k % len(WORDS)], WORDS[k // len(WORDS)]] for k in y]
    return [[str(word).encode() for word in rng.permutation(row)] for row in rows], y


def count_of(words: list[bytes]) -> tuple[list[int], list[int]]:
    """Return the hashes of a text's words with their pairs, and of its characters."""
    befores = [NO_WORD, *map(append_word, words)]
    own = [*map(hash_word, words), *map(hash_pair, words, befores)]
    return own, [code for word in words for code in hash_characters(word, 2, 5)]


def weigh(texts: list[list[bytes]], fitted: list[int]) -> np.ndarray:
    """Return tf-idf of texts, [n, n-grams], as loops: the rarity is that in the fitted rows."""
    parts = []
    for codes in zip(*map(count_of, texts), strict=True):
        every = sorted({code for row in codes for code in row})
        table = np.array([[row.count(code) for code in every] for row in codes], float)
        table = table[:, (table[fitted] > 0).sum(0) >= _ngram_counts.least_rows(len(fitted))]
        idf = np.log((1 + len(fitted)) / (1 + (table[fitted] > 0).sum(0))) + 1
        parts.append(table * idf / np.sqrt(np.maximum((table * idf**2).sum(1, keepdims=True), 1e-6)))
    return np.concatenate(parts, 1)


def machine(X: np.ndarray, wanted: np.ndarray, cost: float, tolerance: float = 0.1) -> Any:
    return LinearSVC(C=cost, dual=True, max_iter=2000, tol=tolerance, random_state=0).fit(X, wanted)


def score_by_hand(X: np.ndarray, fitted: list[int], wanted: np.ndarray) -> np.ndarray:
    """Return the scores of each column's machine, [n, columns], whose features are scaled by its rows."""
    scores = np.zeros(wanted.shape)
    for k, own in enumerate(wanted.T):
        with_label, sums = X[fitted][own[fitted]].sum(0), X[fitted].sum(0)
        p, q = (part + part.mean() + 1e-12 for part in (with_label, sums - with_label))
        ratio = np.abs(np.log(p / p.sum()) - np.log(q / q.sum()))
        scale = 0.25 * ratio + 0.75 * ratio.mean()
        scale /= np.sqrt((scale**2).mean())
        made = machine(X[fitted] * scale, own[fitted], 0.3)
        scores[:, k] = X * scale @ made.coef_[0] + made.intercept_[0]
    return scores


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let n-grams count that occur in two rows, as in files of many."""
    monkeypatch.setattr(_ngram_counts, "FEW_ROWS", 0)


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("few", [0, 2000])
def test_scores_are_those_of_a_plain_pipeline(labels: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ngram_counts, "FEW_ROWS", few)
    texts, y = make_texts(60, labels)
    fitted = list(range(45))
    found = TextCounts(texts, np.arange(45), labels).fit(np.arange(45), y, "label", np.ones(labels))
    assert found is not None
    X = weigh(texts, fitted)
    if labels == 2:  # one machine decides between both
        expected = score_by_hand(X, fitted, (y == 1)[:, None]) @ np.array([[-0.5, 0.5]])
    else:
        expected = score_by_hand(X, fitted, y[:, None] == np.arange(labels))
    np.testing.assert_allclose(found.scores / MARGIN, expected, atol=1e-5)
    assert (found.scores.argmax(1) == y)[:45].mean() > 0.7


def test_several_labels_a_row_have_a_machine_each() -> None:
    texts, y = make_texts(60, 3)
    targets = np.stack([y == 0, y != 1, np.ones(60), np.zeros(60)], 1).astype(np.float32)
    found = TextCounts(texts, np.arange(45), 4).fit(np.arange(45), targets, "label", np.ones(4))
    assert found is not None
    expected = score_by_hand(weigh(texts, list(range(45))), list(range(45)), targets[:, :2] > 0)
    np.testing.assert_allclose(found.scores[:, :2] / MARGIN, expected, atol=1e-5)
    assert (found.scores[:, 2:] / MARGIN).tolist() == [[1.0, -1.0]] * 60  # the label of all rows, and of none


def test_many_labels_have_one_machine_of_unscaled_features() -> None:
    labels = MAX_SCALED + 5
    texts, y = make_texts(150, labels)
    found = TextCounts(texts, np.arange(100), labels).fit(np.arange(100), y, "label", np.ones(labels))
    assert found is not None
    X = weigh(texts, list(range(100)))
    np.testing.assert_allclose(
        found.scores / MARGIN, machine(X[:100], y[:100], 1.0, ROUGH).decision_function(X), atol=1e-5
    )
    rare = np.where(y == labels - 1, 0, y)  # a label that no row has: each has a machine of its own
    found = TextCounts(texts, np.arange(100), labels).fit(np.arange(100), rare, "label", np.ones(labels))
    assert found is not None
    assert found.scores.shape == (150, labels)
    assert set(found.scores[:, -1].tolist()) == {-MARGIN}
    own = machine(X[:100], rare[:100] == 3, 1.0)
    np.testing.assert_allclose(found.scores[:, 3] / MARGIN, own.decision_function(X), atol=1e-5)


@pytest.mark.filterwarnings("error")
def test_few_rows_for_many_labels_are_no_warning_of_scikit_learns() -> None:
    texts, y = make_texts(60, 40)
    assert TextCounts(texts, np.arange(60), 40).fit(np.arange(60), y, "label", np.ones(40)) is not None


def test_rows_of_one_label_have_a_bias_alone() -> None:
    texts, _ = make_texts(20, 2)
    found = TextCounts(texts, np.arange(20), 2).fit(np.arange(20), np.ones(20, np.int64), "label", np.ones(2))
    assert found is not None
    assert (found.scores / MARGIN).tolist() == [[-0.5, 0.5]] * 20
    assert not any(weights.any() for weights in found.weights.values())


def test_rows_out_of_scope_are_rows_of_no_label() -> None:
    texts, y = make_texts(60, 3)
    targets = np.where(np.arange(60) % 7 == 0, -3, y)
    found = TextCounts(texts, np.arange(60), 3).fit(np.arange(60), targets, "label", np.ones(3))
    assert found is not None
    expected = score_by_hand(weigh(texts, list(range(60))), list(range(60)), targets[:, None] == np.arange(3))
    np.testing.assert_allclose(found.scores / MARGIN, expected, atol=1e-5)


@pytest.mark.parametrize("labels", [3, MAX_SCALED + 5])
def test_labels_have_the_weights_that_they_have_in_the_loss(labels: int) -> None:
    texts, y = make_texts(150, labels)
    weights, counts = np.linspace(0.2, 3.0, labels), TextCounts(texts, np.arange(150), labels)
    plain, weighed = (counts.fit(np.arange(150), y, "label", each) for each in (np.ones(labels), weights))
    assert plain is not None
    assert weighed is not None
    assert np.abs(weighed.scores - plain.scores).max() > 0.05
    if labels > MAX_SCALED:
        own = LinearSVC(C=1.0, dual=True, max_iter=2000, tol=ROUGH, random_state=0)
        own.fit(weigh(texts, list(range(150))), y, sample_weight=weights[y])
        np.testing.assert_allclose(
            weighed.scores / MARGIN, own.decision_function(weigh(texts, list(range(150)))), atol=1e-5
        )
    several = np.eye(labels, dtype=np.float32)[y]
    made = counts.fit(np.arange(150), several, "label", weights)
    assert made is not None
    assert np.isfinite(made.scores).all()


def test_words_that_occur_once_may_have_parts_that_occur_twice(tmp_path: Path, two_rows: None) -> None:
    texts = [f"{prefix}{i:02d}{'xyz'[i % 3]}" for i, prefix in enumerate(["play", "stop"] * 20)]
    table = Table("t.csv", {"text": texts, "label": ["ab"[i % 2] for i in range(40)]}, list(range(2, 42)), "5" * 64)
    model = fit("classify", table, out=str(tmp_path / "m.safetensors"), hidden=8, epochs=4)
    assert "bag" in {layer.kind for layer in model.layers}
    answers = Predictor(model).answers(["play99q", "stop", "?"])
    assert all(answer.values is not None for answer in answers)


def test_a_file_in_which_no_n_gram_occurs_twice_has_no_linear_model(two_rows: None) -> None:
    rows, y = np.arange(2), np.array([0, 1])
    counts = TextCounts([[b"xyz"], [b"abc"]], rows, 2)
    assert [len(table) for table in counts.tables.values()] == [0, 0]
    assert counts.fit(rows, y, "label", np.ones(2)) is None


def test_many_labels_leave_room_for_fewer_n_grams(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, _ = make_texts(60, 3)
    whole = TextCounts(texts, np.arange(60), 3).tables
    monkeypatch.setattr(_linear_text, "MAX_NUMBERS", 300)
    fewer = TextCounts(texts, np.arange(60), 3).tables
    assert 0 < sum(map(len, fewer.values())) <= 100 < sum(map(len, whole.values()))
    assert all(set(fewer[kind]) < set(whole[kind]) for kind in whole)


def test_scales_are_1_on_average_and_larger_for_what_tells_more() -> None:
    scale = scale_of(np.array([5.0, 0.0, 2.0]), np.array([5.0, 5.0, 4.0]))
    assert (scale**2).mean() == pytest.approx(1.0)
    assert min(scale[:2]) > scale[2]
    assert scale_of(np.zeros(3), np.zeros(3)).tolist() == [1.0] * 3
    assert spread_columns(3, 3).tolist() == np.eye(3).tolist()


# ---- the joined model


def make_job(**values: Any) -> TrainingJob:
    texts, y = make_texts(60, 3, 3)
    cells = [FEW[k] + ("|all" if values.get("label_separator") and k else "") for k in y]
    columns = {"text": [b" ".join(words).decode() for words in texts], "label": cells}
    task = tasks.load("classify")
    return TrainingJob(
        task, task.Options(**{**SMALL, **values}), Table("t.csv", columns, list(range(2, 62)), ""), None, 1
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"subwords": 0},
        {"label_separator": "|"},
        {"direction": "both"},
        {"depth": 2, "conv": 3},
    ],
    ids=str,
)
def test_a_joined_model_adds_both_after_every_step(values: dict[str, Any]) -> None:
    job = make_job(**values)
    run = job.run(None)
    problem, weights = job.problem, run.tensors()
    branch: Any = problem.fit_branch(run.train_rows)
    share = 0.4
    joined, tensors = problem.join_branch(branch, {"label": {"branch": share}}, weights)
    model = Model(
        assemble("classify", {}, joined.inputs, joined.layers, joined.outputs, {}), {**tensors, **joined.arrays}
    )
    alone = job.draft(run.tensors(), {}, {})
    predictors = Predictor(model), Predictor(alone)
    several = "label_separator" in values
    for row in range(0, 60, 7):
        text = job.source.columns["text"][row]
        prefixes = [text] if "direction" in values else [text[: i + 1] for i, c in enumerate(text + " ") if c == " "]
        for prefix in prefixes:
            both, one = (one.predict([prefix])[0].astype(float) for one in predictors)
            both, one = (np.log(p / (1 - p)) if several else np.log(p) - np.log(p).mean() for p in (both, one))
            linear = scores_of(branch, tokens(prefix))
            linear = linear if several else linear - linear.mean()
            np.testing.assert_allclose(both, one + share * linear, atol=2e-4)
        np.testing.assert_allclose(scores_of(branch, tokens(text)), branch.scores[row], atol=1e-5)


def tokens(text: str) -> list[bytes]:
    return Tokenizer("word").tokens(text.encode())


def scores_of(branch: Any, words: list[bytes]) -> np.ndarray:
    """Return the scores of a linear model for a text, as loops."""
    total = branch.bias.copy()
    for kind, codes in zip(("words", "characters"), count_of(words), strict=True):
        places = {code: k for k, code in enumerate(branch.tables[kind].tolist())}
        rows = [places[code] for code in codes if code in places]
        norm = np.sqrt(max(branch.squares[kind][rows].sum(), 1e-6))
        total = total + branch.weights[kind][rows].sum(0) / norm
    return spread_columns(branch.outputs, len(branch.bias)) @ total


# ---- options


@pytest.mark.parametrize("unit", ["character", "byte"])
@pytest.mark.parametrize(("values", "flag"), [({"linear": "auto"}, "--linear auto"), ({"subwords": 8}, "--subwords 8")])
def test_texts_of_single_characters_have_no_n_grams(unit: str, values: dict[str, Any], flag: str) -> None:
    with pytest.raises(OptionError, match=f"{flag} is for texts of words, and this model reads single {unit}s"):
        make_job(unit=unit, **values)
    options = make_job(unit=unit).options
    assert (options.linear, options.subwords) == ("off", 0)


def test_defaults_of_words_are_a_linear_model_and_32_numbers() -> None:
    job = make_job()
    assert (job.options.linear, job.options.subwords) == ("auto", 32)
    assert [layer.kind for layer in job.problem.layers[:3]] == ["embed", "bag", "dense"]
    assert make_job(linear="off", subwords=0).problem.fit_branch(np.arange(10)) is None


def test_a_missing_scikit_learn_or_scipy_is_said_before_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    job = make_job()
    run = job.run(None)
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tidegate\[train\]', or choose --linear off$"):
        job.rehearse(run, str(tmp_path / "m.safetensors"))
    off = make_job(linear="off")
    off.rehearse(off.run(None), str(tmp_path / "m.safetensors"))
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tidegate\[train\]', or choose --linear off --subwords 0$"):
        make_job(linear="off")
    make_job(linear="off", subwords=0)

"""Spans against `seqeval`, which counts as the script conlleval of CoNLL-2000 does."""

import random

import numpy as np
import pytest
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

from tidegate.tasks._spans import find_spans, follows_scheme, score_spans, span_f1

ALPHABETS = {
    "BIO": ["O", "B-city", "I-city", "B-day", "I-day", "B-from.city", "I-from.city"],
    "hyphens": ["O", "B-a-b", "I-a-b", "I-a", "B-a"],
    "IOBES": ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("x", "y"))],
}
NASTY = [
    [["I-a"]],
    [["O", "I-a", "I-a"], ["I-a", "O"]],
    [["B-a", "B-a"], ["B-a", "I-b", "I-a"]],
    [["I-a", "B-a", "I-a"], ["O"]],
    [["O", "O"], ["O"]],
    [["B-a", "I-a"], [], ["I-a"]],
    [["E-a", "I-a"], ["S-a", "I-a", "E-a"], ["B-a", "E-b"]],
]


def tagged_rows(alphabet, seed, rows=40):
    draw = random.Random(seed)
    return [[draw.choice(alphabet) for _ in range(draw.randint(1, 12))] for _ in range(rows)]


def spans_of(rows):
    spans = find_spans(rows)
    return list(zip((spans.names[k] for k in spans.types), spans.starts.tolist(), spans.ends.tolist(), strict=True))


def entities_of(rows):
    """Return seqeval's spans, row by row, at their places among all tokens."""
    bounds = np.append(0, np.cumsum([len(row) for row in rows])).tolist()
    return [
        (kind, start + at, end + at)
        for row, at in zip(rows, bounds[:-1], strict=True)
        for kind, start, end in get_entities(row)
    ]


@pytest.mark.parametrize("name", ALPHABETS)
@pytest.mark.parametrize("seed", range(5))
def test_random_rows_have_the_spans_of_seqeval(name, seed):
    rows = tagged_rows(ALPHABETS[name], seed)
    assert spans_of(rows) == entities_of(rows)


@pytest.mark.parametrize("rows", NASTY)
def test_nasty_rows_have_the_spans_of_seqeval(rows):
    assert spans_of(rows) == entities_of(rows)


@pytest.mark.parametrize("name", ALPHABETS)
@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_seqeval(name, seed):
    truth = tagged_rows(ALPHABETS[name], seed)
    draw = random.Random(seed)
    predicted = [[tag if draw.random() < 0.7 else draw.choice(ALPHABETS[name]) for tag in row] for row in truth]
    figures = score_spans(predicted, truth)
    of_all = precision_recall_fscore_support(truth, predicted, average="micro", zero_division=0)
    assert [figures["span_precision"], figures["span_recall"], figures["span_f1"]] == pytest.approx(of_all[:3])
    assert figures["span_f1"] == pytest.approx(f1_score(truth, predicted)) == span_f1(predicted, truth)
    by_type = precision_recall_fscore_support(truth, predicted, average=None, zero_division=0)
    assert [list(figure.values()) for figure in figures["types"].values()] == [
        pytest.approx(column) for column in zip(*by_type, strict=True)
    ]


def test_spans_do_not_cross_rows():
    assert spans_of([["B-a", "I-a"], ["I-a"]]) == [("a", 0, 1), ("a", 2, 2)]


def test_without_any_span_all_figures_are_zero():
    figures = score_spans([["O", "O"], []], [["O", "O"], []])
    assert figures == {"span_precision": 0.0, "span_recall": 0.0, "span_f1": 0.0, "span_support": 0, "types": {}}
    assert score_spans([], [])["span_f1"] == 0.0


def test_a_type_that_is_only_predicted_has_no_support():
    assert score_spans([["B-b"]], [["B-a"]])["types"]["b"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


@pytest.mark.parametrize(
    ("tags", "follows"),
    [
        (["O", "B-a", "I-a"], True),
        (["S-a", "E-a", "O"], True),
        (["B", "O"], True),
        (["O"], False),
        ([], False),
        (["NOUN", "VERB"], False),
        (["B-a", "PER"], False),
        (["Begin-a"], False),
    ],
)
def test_which_tags_mark_spans(tags, follows):
    assert follows_scheme(tags) is follows

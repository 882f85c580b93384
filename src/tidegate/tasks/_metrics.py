"""Metrics of a classifier: from probabilities and truth to accuracy, F1 and confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..outputs import THRESHOLD

NONE = "(none)"  # stands for the label of a row without an answer
UNSEEN = "(unseen)"  # stands for a label that the model does not know


def score(
    probabilities: npt.NDArray[Any],
    truth: Sequence[Any] | npt.NDArray[Any],
    labels: Sequence[str],
    empty: npt.NDArray[np.bool_] | None = None,
    threshold: float = THRESHOLD,
    rejected: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Compute accuracy, macro F1, log loss, each label's precision, recall and F1, the confusion matrix and confusions.

    probabilities: float [n, classes]. truth: n indices, -1 for a label that the model does not know: it counts as wrong
    and is left out of the log loss, which is None if nothing is left. Where rows may have several labels, truth is
    [n, labels], and threshold is used; see `score_multi_label`. empty: bool [n], rows without an answer, which count as
    wrong and are left out of the log loss. rejected: bool [n], rows whose label is not given although they have
    probabilities: they are wrong too. See `count_confusions` for the matrix. The confusions are what is not 0 beside
    its diagonal, [truth, predicted, rows], most frequent first.

    >>> metrics = score(np.array([[.9, .1], [.2, .8], [.6, .4]]), [0, 1, 1], ["no", "yes"])
    >>> round(metrics["accuracy"], 3), metrics["confusions"]
    (0.667, [['yes', 'no', 1]])
    """
    if np.ndim(truth) == 2:
        return score_multi_label(probabilities, np.asarray(truth) > 0, labels, empty, threshold)
    blank = np.zeros(len(truth), bool) if empty is None else empty
    without = blank if rejected is None else blank | rejected
    target, predicted = np.asarray(truth), np.where(without, len(labels), probabilities.argmax(1))
    known = target >= 0
    answered = known & ~blank
    of_truth = probabilities[answered, target[answered]].astype(np.float64)
    per_label = {name: label_figures(predicted == k, target == k) for k, name in enumerate(labels)}
    table = count_confusions(target, predicted, labels)
    supported = [v["f1"] for v in per_label.values() if v["support"]]
    return {
        "rows": len(target),
        "accuracy": float(np.mean(predicted == target)),
        "macro_f1": float(np.mean(supported)) if supported else None,
        "log_loss": float(-np.log(of_truth.clip(1e-12)).mean()) if of_truth.size else None,
        "unseen": int((~known).sum()),
        "labels": per_label,
        "confusion_matrix": table,
        "confusions": list_confusions(table),
    }


def count_confusions(target: npt.NDArray[Any], predicted: npt.NDArray[Any], labels: Sequence[str]) -> dict[str, Any]:
    """Count how many rows of each label are predicted to have each, as an object for JSON.

    target: n indices of labels, -1 for a label that the model does not know. predicted: n indices, `len(labels)` for a
    row without an answer. In `matrix` a row is a label of the truth and a column a predicted one, both in the order of
    `labels`. Where there are such rows, the last row is of unknown labels, and `more_rows` names it; where rows have no
    answer, the last column is of those, and `more_columns` names it.

    >>> found = count_confusions(np.array([0, 1, -1]), np.array([0, 2, 1]), ["no", "yes"])
    >>> found["matrix"], found["more_rows"], found["more_columns"]
    ([[1, 0, 0], [0, 0, 1], [0, 1, 0]], ['(unseen)'], ['(none)'])
    """
    size = len(labels)
    row, column = np.where(target >= 0, target, size), np.asarray(predicted)
    cells = np.bincount(row * (size + 1) + column, minlength=(size + 1) ** 2).reshape(size + 1, size + 1)
    rows, columns = size + int((row == size).any()), size + int((column == size).any())
    return {
        "labels": list(labels),
        "matrix": cells[:rows, :columns].tolist(),
        "more_rows": [UNSEEN][: rows - size],
        "more_columns": [NONE][: columns - size],
    }


def list_confusions(table: dict[str, Any]) -> list[list[Any]]:
    """List what is not 0 beside the diagonal of `count_confusions`, [truth, predicted, rows], most frequent first."""
    truths, names = [*table["labels"], *table["more_rows"]], [*table["labels"], *table["more_columns"]]
    cells = np.array(table["matrix"])
    np.fill_diagonal(cells[: len(table["labels"]), : len(table["labels"])], 0)
    wrong = [[truths[t], names[p], int(cells[t, p])] for t, p in np.argwhere(cells).tolist()]
    return sorted(wrong, key=lambda one: (-one[2], one[0], one[1]))


def score_multi_label(
    probabilities: npt.NDArray[Any],
    truth: npt.NDArray[np.bool_],
    labels: Sequence[str],
    empty: npt.NDArray[np.bool_] | None = None,
    threshold: float = THRESHOLD,
) -> dict[str, Any]:
    """Compute the metrics of rows with any number of labels; a label is predicted from the threshold on.

    probabilities: [n, labels]. truth: [n, m], m >= labels; columns after the labels are labels that the model does not
    know: they count as missed, and are left out of the log loss and of macro F1. subset_accuracy: share of rows with
    all labels right; sample_f1: mean of the rows' F1; macro_f1: mean over the labels that occur; hamming_loss: share of
    single decisions that are wrong; log_loss: mean over single decisions. empty: bool [n], rows without an
    answer: none of their labels is predicted, they are not right, and they are left out of the log loss.

    >>> truth = np.array([[True, False], [False, True]])
    >>> metrics = score_multi_label(np.array([[.9, .8], [.2, .6]]), truth, ["no", "yes"])
    >>> metrics["subset_accuracy"], metrics["hamming_loss"], round(metrics["micro_f1"], 3)
    (0.5, 0.25, 0.8)
    """
    blank = np.zeros(len(truth), bool) if empty is None else empty
    predicted = predict_labels(probabilities, truth.shape, blank, threshold)
    known = truth[~blank, : len(labels)]
    p = np.clip(np.asarray(probabilities, np.float64)[~blank], 1e-12, 1 - 1e-12)
    per_label = {name: label_figures(predicted[:, k], truth[:, k]) for k, name in enumerate(labels)}
    supported = [of["f1"] for of in per_label.values() if of["support"]]
    return {
        "rows": len(truth),
        "micro_f1": micro_f1(predicted, truth),
        "macro_f1": float(np.mean(supported)) if supported else None,
        "sample_f1": float(np.mean([micro_f1(s, t) for s, t in zip(predicted, truth, strict=True)])),
        "subset_accuracy": float(((predicted == truth).all(1) & ~blank).mean()),
        "hamming_loss": float((predicted != truth).mean()),
        "log_loss": float(-np.where(known, np.log(p), np.log(1 - p)).mean()) if len(p) else None,
        "threshold": threshold,
        "labels_a_row": float(truth.sum(1).mean()),
        "predicted_a_row": float(predicted.sum(1).mean()),
        "unseen": int(truth[:, len(labels) :].any(1).sum()),
        "labels": per_label,
    }


def predict_labels(
    probabilities: npt.NDArray[Any], shape: tuple[int, ...], empty: npt.NDArray[np.bool_], threshold: float
) -> npt.NDArray[np.bool_]:
    """Return which labels each row is predicted to have, bool of this shape [n, m]; see `score_multi_label`."""
    predicted = np.zeros(shape, bool)
    predicted[:, : probabilities.shape[1]] = (probabilities >= threshold) & ~empty[:, None]
    return predicted


def micro_f1(predicted: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> float:
    """Compute F1 over all decisions together; 1 where there is no label and none is predicted.

    >>> micro_f1(np.array([True, True]), np.array([True, False])), micro_f1(np.zeros(2, bool), np.zeros(2, bool))
    (0.6666666666666666, 1.0)
    """
    both = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / both if both else 1.0


def label_figures(predicted: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> dict[str, float | int]:
    hits, positives, support = int((predicted & true).sum()), int(predicted.sum()), int(true.sum())
    precision, recall = hits / positives if positives else 0.0, hits / support if support else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}

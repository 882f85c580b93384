"""Metrics of a classifier: from probabilities and truth to accuracy, F1 and confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..outputs import THRESHOLD

NONE = "(none)"  # stands for the label of a row without an answer


def score(
    probabilities: npt.NDArray[Any],
    truth: Sequence[Any],
    labels: Sequence[str],
    empty: npt.NDArray[np.bool_] | None = None,
    threshold: float = THRESHOLD,
    rejected: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Compute accuracy, macro F1, log loss, each label's precision, recall and F1, and all confusions.

    probabilities: float [n, classes]. truth: n indices, -1 for a label that the model does not know: it counts as wrong
    and is left out of the log loss, which is None if nothing is left. Where rows may have several labels, truth is
    [n, labels], and threshold is used; see `score_multi_label`. empty: bool [n], rows without an answer, which count as
    wrong and are left out of the log loss. rejected: bool [n], rows whose label is not given although they have
    probabilities: they are wrong too. The confusions are [truth, predicted, rows], most frequent first.

    >>> metrics = score(np.array([[.9, .1], [.2, .8], [.6, .4]]), [0, 1, 1], ["no", "yes"])
    >>> round(metrics["accuracy"], 3), metrics["confusions"]
    (0.667, [['yes', 'no', 1]])
    """
    if np.ndim(truth) == 2:
        return score_multi_label(probabilities, np.asarray(truth) > 0, labels, empty, threshold)
    blank = np.zeros(len(truth), bool) if empty is None else empty
    without = blank if rejected is None else blank | rejected
    target, predicted = np.asarray(truth), np.where(without, len(labels), probabilities.argmax(1))
    known, names = target >= 0, [*labels, NONE]
    answered = known & ~blank
    of_truth = probabilities[answered, target[answered]].astype(np.float64)
    per_label = {name: label_figures(predicted == k, target == k) for k, name in enumerate(labels)}
    wrong = Counter(
        (labels[t] if t >= 0 else "(unseen)", names[p]) for t, p in zip(target, predicted, strict=True) if t != p
    )
    supported = [v["f1"] for v in per_label.values() if v["support"]]
    return {
        "rows": len(target),
        "accuracy": float(np.mean(predicted == target)),
        "macro_f1": float(np.mean(supported)) if supported else None,
        "log_loss": float(-np.log(of_truth.clip(1e-12)).mean()) if of_truth.size else None,
        "unseen": int((~known).sum()),
        "labels": per_label,
        "confusions": [[t, p, n] for (t, p), n in sorted(wrong.items(), key=lambda i: (-i[1], i[0]))],
    }


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
    predicted = np.zeros(truth.shape, bool)
    blank = np.zeros(len(truth), bool) if empty is None else empty
    predicted[:, : len(labels)] = (probabilities >= threshold) & ~blank[:, None]
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

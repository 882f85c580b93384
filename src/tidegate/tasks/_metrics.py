"""Figures of a classifier: from probabilities and truth to accuracy, F1 and confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..model import HOLDS


def score(probabilities: npt.NDArray[Any], truth: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro F1, log loss, each label's precision, recall and F1, and the most frequent confusions.

    probabilities: float [n, classes]; truth: n indices, -1 for a label that the model does not know (always wrong, and
    left out of the log loss, which is None if nothing is left); or where a row may have several labels, [n, labels],
    see `of_several`.

    >>> got = score(np.array([[.9, .1], [.2, .8], [.6, .4]]), [0, 1, 1], ["no", "yes"])
    >>> round(got["accuracy"], 3), got["confusions"]
    (0.667, [['yes', 'no', 1]])
    """
    if np.ndim(truth) == 2:
        return of_several(probabilities, np.asarray(truth) > 0, labels)
    target, predicted = np.asarray(truth), probabilities.argmax(1)
    known = target >= 0
    chosen = probabilities[known, target[known]].astype(np.float64)
    per_label = {name: of_label(predicted == k, target == k) for k, name in enumerate(labels)}
    wrong = Counter(
        (labels[t] if t >= 0 else "(unseen)", labels[p]) for t, p in zip(target, predicted, strict=True) if t != p
    )
    supported = [v["f1"] for v in per_label.values() if v["support"]]
    return {
        "rows": len(target),
        "accuracy": float(np.mean(predicted == target)),
        "macro_f1": float(np.mean(supported)) if supported else None,
        "log_loss": float(-np.log(chosen.clip(1e-12)).mean()) if chosen.size else None,
        "unseen": int((~known).sum()),
        "labels": per_label,
        "confusions": [[t, p, n] for (t, p), n in sorted(wrong.items(), key=lambda i: (-i[1], i[0]))[:20]],
    }


def of_several(probabilities: npt.NDArray[Any], truth: npt.NDArray[np.bool_], labels: Sequence[str]) -> dict[str, Any]:
    """Figures of rows with any number of labels; a label is predicted where its probability is 0.5 or more.

    probabilities: [n, labels]. truth: [n, m], m >= labels; what stands behind the labels are such as the model does not
    know, always missed, and left out of the log loss and of macro F1. subset_accuracy: share of rows with all labels
    right; sample_f1: mean over rows of their F1; macro_f1: mean over labels that occur; hamming_loss: share of single
    decisions that are wrong; log_loss: their mean.

    >>> got = of_several(np.array([[.9, .8], [.2, .6]]), np.array([[True, False], [False, True]]), ["no", "yes"])
    >>> got["subset_accuracy"], got["hamming_loss"], round(got["micro_f1"], 3)
    (0.5, 0.25, 0.8)
    """
    said = np.zeros(truth.shape, bool)
    said[:, : len(labels)] = probabilities >= HOLDS
    known = truth[:, : len(labels)]
    p = np.clip(np.asarray(probabilities, np.float64), 1e-12, 1 - 1e-12)
    per_label = {name: of_label(said[:, k], truth[:, k]) for k, name in enumerate(labels)}
    supported = [of["f1"] for of in per_label.values() if of["support"]]
    return {
        "rows": len(truth),
        "micro_f1": micro_f1(said, truth),
        "macro_f1": float(np.mean(supported)) if supported else None,
        "sample_f1": float(np.mean([micro_f1(s, t) for s, t in zip(said, truth, strict=True)])),
        "subset_accuracy": float((said == truth).all(1).mean()),
        "hamming_loss": float((said != truth).mean()),
        "log_loss": float(-np.where(known, np.log(p), np.log(1 - p)).mean()),
        "threshold": HOLDS,
        "labels_a_row": float(truth.sum(1).mean()),
        "predicted_a_row": float(said.sum(1).mean()),
        "unseen": int(truth[:, len(labels) :].any(1).sum()),
        "labels": per_label,
    }


def micro_f1(said: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> float:
    """F1 of all decisions together; 1 where there was nothing to find and nothing was said.

    >>> micro_f1(np.array([True, True]), np.array([True, False])), micro_f1(np.zeros(2, bool), np.zeros(2, bool))
    (0.6666666666666666, 1.0)
    """
    both = int(said.sum()) + int(true.sum())
    return 2 * int((said & true).sum()) / both if both else 1.0


def of_label(predicted: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> dict[str, float | int]:
    hit, said, support = int((predicted & true).sum()), int(predicted.sum()), int(true.sum())
    precision, recall = hit / said if said else 0.0, hit / support if support else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}

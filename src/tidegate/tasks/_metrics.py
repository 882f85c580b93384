"""Figures of a classifier: from probabilities and truth to accuracy, F1 and confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def score(probabilities: npt.NDArray[Any], truth: Sequence[int], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro F1, log loss, each label's precision, recall and F1, and the most frequent confusions.

    probabilities: float [n, classes]; truth: n indices, -1 for a label that the model does not know (always wrong, and
    left out of the log loss, which is None if nothing is left).

    >>> got = score(np.array([[.9, .1], [.2, .8], [.6, .4]]), [0, 1, 1], ["no", "yes"])
    >>> round(got["accuracy"], 3), got["confusions"]
    (0.667, [['yes', 'no', 1]])
    """
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


def of_label(predicted: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> dict[str, float | int]:
    hit, said, support = int((predicted & true).sum()), int(predicted.sum()), int(true.sum())
    precision, recall = hit / said if said else 0.0, hit / support if support else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}

"""Rows out of scope: the threshold beyond which an input has none of the labels, and how good a threshold can be.

Everything here is about *doubt*: a number for each row, of which more is more likely out of scope, or wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, OptionError
from ..outputs import Reject
from ..outputs._reject import ENTROPY, MAX_PROBABILITY
from ._labels import OUT_OF_SCOPE, Targets
from ._options import option
from .base import Flag, Indices

COVERAGES: Final = (1.0, 0.95, 0.9, 0.8, 0.5)
MAX_EXPOSURE: Final = 100.0
JOINT: Final = "joint_probability"  # what doubt is measured by where a row may have several labels
LOST: Final = 0.05  # the share of rows in scope at which the recall of rows out of scope is compared

FLAG: Final = Flag(
    "out_of_scope",
    "what stands in the column of labels for rows that have none of them (default: as in training)",
    "labels",
    "LABEL",
)

Doubts = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


# ---- what a new model gets


@dataclass(frozen=True)
class ScopeOptions:
    """Options of a classifier that may answer that an input has none of its labels."""

    out_of_scope: str | None = option(
        None,
        "what stands in the column of labels for rows that have none of the labels; such inputs then get no label",
        metavar="LABEL",
    )
    reject: float | None = option(
        None,
        "give no label where the model is least sure, so that at most this share of the held-out rows in scope lose "
        "theirs; default: no such rule, or with --out-of-scope the best balance on the held-out rows",
        least=0.0,
        most=0.9,
        metavar="SHARE",
    )

    def check_scope(self, separator: str | None) -> None:
        """Raise OptionError for options that exclude each other. separator: of rows with several labels."""
        if self.out_of_scope is not None and not self.out_of_scope.strip():
            raise OptionError("out_of_scope is empty; give what stands in the column of labels, or leave it out")
        for name in ("out_of_scope", "reject"):
            if separator is not None and getattr(self, name) is not None:
                raise OptionError(
                    f"{name} is for rows with one label each; with --label-separator a row may have none, so leave the "
                    f"label cells of rows out of scope empty, and --{name.replace('_', '-')} out"
                )

    def make_reject(self) -> dict[str, Any]:
        """Return what the entry of the output has besides, before its threshold is chosen; nothing without a rule."""
        has_rule = self.out_of_scope is not None or self.reject is not None
        return {"reject": {"score": ENTROPY, "threshold": 0.0}} if has_rule else {}


def check_rows(targets: Targets, place: str, options: Any) -> None:
    """Raise DataError if no row is out of scope although the options say what stands for that."""
    if options.out_of_scope is not None and not (targets == OUT_OF_SCOPE).any():
        raise DataError(
            f"{place}: no row has the label {options.out_of_scope!r} in column {options.label!r}, which --out-of-scope "
            "names; name what stands there for rows out of scope, or leave --out-of-scope out"
        )


def check_scored(targets: Targets, place: str, options: Any, flags: Mapping[str, Any], labels: Sequence[str]) -> None:
    """Raise OptionError if what stands for rows out of scope is a label of the model; DataError if the flag of `score`
    says what stands for them and no row is one.
    """
    if options.out_of_scope in labels:
        raise OptionError(
            f"out_of_scope is {options.out_of_scope!r}, which is one of the model's labels; name what stands in the "
            "column of labels for rows that have none of them"
        )
    if flags.get("out_of_scope") is not None:
        check_rows(targets, place, options)


def check_held_out(targets: Targets, options: Any) -> None:
    """Raise DataError if no held-out row is in scope, or if a threshold is to be chosen by held-out rows out of scope,
    and there are none.
    """
    if not (targets != OUT_OF_SCOPE).any():
        raise DataError(
            f"every row that is held out has the label {options.out_of_scope!r}, so nothing can be measured; add rows "
            "in scope that differ, or give rows that judge the model with --valid"
        )
    if options.out_of_scope is not None and options.reject is None and not (targets == OUT_OF_SCOPE).any():
        raise DataError(
            f"no row with the label {options.out_of_scope!r} is held out, so no threshold can be chosen by such rows; "
            "add some, or say with --reject which share of the rows in scope may lose their label"
        )


def weigh_exposure(targets: Targets) -> float:
    """Return the weight in the loss of a training row out of scope, so that together they count half as much as the
    rows in scope.

    A single row counts at most as much as `MAX_EXPOSURE` others. targets: of the training rows. Source: outlier
    exposure, Hendrycks et al. 2019 (arXiv:1812.04606), section 4.

    >>> weigh_exposure(np.array([0, 1, 0, 1, OUT_OF_SCOPE])), weigh_exposure(np.array([0, 1]))
    (2.0, 1.0)
    """
    outside, known = int((targets == OUT_OF_SCOPE).sum()), int((targets >= 0).sum())
    return min(0.5 * known / outside, MAX_EXPOSURE) if outside and targets.ndim == 1 else 1.0


def choose_threshold(
    logits: npt.NDArray[np.float64], targets: npt.NDArray[np.int64], share: float | None
) -> dict[str, float]:
    """Choose from held-out rows the entropy above which an input has no label.

    Args:
        logits: calibrated, [n, classes].
        targets: the index of each row's label, or `OUT_OF_SCOPE`, int64 [n].
        share: of the rows in scope, how many may lose their label; None: where the shares of both kinds of rows that
            are treated right have the largest sum.

    Returns `threshold`, in nats; `lost`, the share of rows in scope beyond it; and of rows out of scope `found`, the
    share of them, if there are any.

    >>> logits = np.log([[0.98, 0.02], [0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    >>> found = choose_threshold(logits, np.array([0, 0, 0, OUT_OF_SCOPE]), None)
    >>> round(found["threshold"], 3), found["lost"], found["found"]
    (0.587, 0.0, 1.0)
    """
    doubts = measure_entropies(logits)
    is_out = targets == OUT_OF_SCOPE
    inside, outside = doubts[~is_out], doubts[is_out]
    threshold = find_balance(inside, outside) if share is None else find_quantile(inside, share)
    chosen = {"threshold": max(0.0, threshold), "lost": float((inside > threshold).mean()) if len(inside) else 0.0}
    return {**chosen, "found": float((outside > threshold).mean())} if len(outside) else chosen


def measure_entropies(logits: npt.NDArray[np.float64]) -> Doubts:
    """Return the entropy of the softmax of each row of logits [n, classes], in nats, [n].

    >>> measure_entropies(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
    [0.6931471805599453, 0.0]
    """
    z = logits - logits.max(1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(1) + 0.0)


def find_quantile(inside: Doubts, share: float) -> float:
    """Return a threshold that at most this share of rows is beyond, between the last of those and the next row.

    >>> find_quantile(np.array([4.0, 3.0, 2.0, 1.0]), 0.25)
    3.5
    """
    if not len(inside):
        return 0.0
    falling = np.sort(inside)[::-1]
    count = min(math.floor(share * len(falling) + 1e-9), len(falling) - 1)
    return float(falling[count] if count == 0 else (falling[count - 1] + falling[count]) / 2)


def find_balance(inside: Doubts, outside: Doubts) -> float:
    """Return the threshold between two neighbouring rows at which most rows of both kinds are on their side.

    Source: the index of Youden, 1950: the sum of sensitivity and specificity, less 1. Without rows out of scope, no row
    is beyond the threshold.

    >>> find_balance(np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0]))
    4.0
    """
    if not len(outside) or not len(inside):
        return float(inside.max(initial=0.0))
    values = np.unique(np.concatenate([inside, outside]))
    ends = np.searchsorted(np.sort(inside), values, "right") / len(inside)  # shares up to each value
    missed = np.searchsorted(np.sort(outside), values, "right") / len(outside)
    best = int((ends - missed).argmax())
    return float(values[best] if best + 1 == len(values) else (values[best] + values[best + 1]) / 2)


# ---- figures


def measure_auroc(doubts: Doubts, is_out: Flags) -> float:
    """Return how often a row that is out has more doubt than one that is not; equal doubts count half.

    >>> measure_auroc(np.array([0.1, 0.2, 0.3, 0.2]), np.array([False, False, True, True]))
    0.875
    """
    inside = np.sort(doubts[~is_out])
    below = np.searchsorted(inside, doubts[is_out], "left") + np.searchsorted(inside, doubts[is_out], "right")
    return float(below.mean() / 2 / len(inside))


def measure_average_precision(doubts: Doubts, is_out: Flags) -> float:
    """Return the area under the curve of precision over recall of rows that are out, most doubt first, without
    interpolation.

    >>> measure_average_precision(np.array([0.1, 0.2, 0.3]), np.array([True, False, True]))
    0.8333333333333333
    """
    order = np.argsort(-doubts, kind="stable")
    falling, hits = doubts[order], np.cumsum(is_out[order])
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))  # rows of equal doubt come at once
    gained = np.diff(hits[ends], prepend=0)
    return float((gained * hits[ends] / (ends + 1)).sum() / hits[-1])


def measure_recall(doubts: Doubts, is_out: Flags, lost: float = LOST) -> float:
    """Return which share of the rows that are out has more doubt than all others but this share, which is lost.

    >>> measure_recall(np.array([1.0, 2.0, 3.0, 4.0, 2.5, 3.5]), np.array([False] * 4 + [True] * 2), 0.25)
    0.5
    """
    falling = np.sort(doubts[~is_out])[::-1]
    count = math.floor(lost * len(falling) + 1e-9)
    return 1.0 if count == len(falling) else float((doubts[is_out] > falling[count]).mean())


def measure_risk_coverage(doubts: Doubts, is_wrong: Flags) -> dict[str, Any]:
    """Return the share of wrong rows among those of least doubt: at each of `COVERAGES`, and on average (AURC).

    Of rows of equal doubt, each counts as wrong by their share. Source: Geifman and El-Yaniv 2017 (arXiv:1705.08500).

    >>> measure_risk_coverage(np.array([0.1, 0.4, 0.2, 0.3]), np.array([False, True, False, True]))["errors"]
    [[1.0, 0.5], [0.95, 0.5], [0.9, 0.5], [0.8, 0.5], [0.5, 0.0]]
    """
    _, number = np.unique(doubts, return_inverse=True)
    share = np.bincount(number, is_wrong) / np.bincount(number)
    errors = np.cumsum(share[np.sort(number)]) / np.arange(1, len(number) + 1)
    at = [[coverage, float(errors[math.ceil(coverage * len(errors) - 1e-9) - 1])] for coverage in COVERAGES]
    return {"errors": at, "aurc": float(errors.mean())}


def measure_doubts(answers: Sequence[Any]) -> tuple[Doubts, str]:
    """Return the doubt about each answer of a classifier (`Scores`), and the name of what it is measured by.

    It is that of the rule by which inputs have no label; without a rule, less the largest probability, or where an
    input may have several labels, less the product of the probabilities of all decisions, label by label. An answer
    without values is in the most doubt.
    """
    first = answers[0]
    rule = first.reject or Reject(MAX_PROBABILITY, 0.0)

    def doubt_of(values: npt.NDArray[np.float32]) -> float:
        if not first.multi_label:
            return rule.doubt(values)
        p = values.astype(np.float64)
        return -float(np.where(p >= first.threshold, p, 1 - p).prod())

    doubts = np.array([np.inf if one.values is None else doubt_of(one.values) for one in answers])
    return doubts, JOINT if first.multi_label else rule.score


def find_wrong(answers: Sequence[Any], truth: Targets) -> Flags:
    """Return whether the labels of the largest scores are not those of the row, bool [n].

    truth: as `classify.read_targets` gives it. An answer without values is wrong.
    """
    if truth.ndim == 1:
        best = [-1 if one.values is None else int(one.values.argmax()) for one in answers]
        return np.array([k < 0 or k != own for k, own in zip(best, truth.tolist(), strict=True)])
    count = truth.shape[1]

    def differs(one: Any, own: Targets) -> bool:
        chosen = one.values >= one.threshold
        return bool((np.pad(chosen, (0, count - len(chosen))) != (own > 0)).any())

    return np.array([one.values is None or differs(one, own) for one, own in zip(answers, truth, strict=True)])


def score_answers(answers: Sequence[Any], truth: Targets) -> dict[str, Any]:
    """Compute what `score` says of doubt: risk and coverage of the rows in scope; if the output has a rule `reject`,
    what that does; and if there are rows out of scope, how well they are told apart.

    answers: of a classifier (`Scores`), of which some are in scope. truth: their targets, see `find_wrong`.
    """
    (doubts, by), is_wrong = measure_doubts(answers), find_wrong(answers, truth)
    is_out = truth == OUT_OF_SCOPE if truth.ndim == 1 else np.zeros(len(answers), bool)
    found: dict[str, Any] = {"doubt": by, "risk_coverage": measure_risk_coverage(doubts[~is_out], is_wrong[~is_out])}
    if (rule := answers[0].reject) is not None:
        answered = np.array([one.label is not None for one in answers])
        found["reject"] = {
            "threshold": rule.threshold,
            "rows": len(answers),
            "answered": int(answered.sum()),
            "accuracy": float((~is_wrong & ~is_out)[answered].mean()) if answered.any() else None,
            "lost": float(1 - answered[~is_out].mean()),
            "recall": float(1 - answered[is_out].mean()) if is_out.any() else None,
        }
    if is_out.any():
        found["out_of_scope"] = {
            "rows": int(is_out.sum()),
            "auroc": measure_auroc(doubts, is_out),
            "average_precision": measure_average_precision(doubts, is_out),
            "recall": measure_recall(doubts, is_out),
            "lost": LOST,
        }
    return found


def select_in_scope(truth: Targets, place: str) -> Indices:
    """Return which rows are in scope, int64. Raises DataError if none is. place: the file."""
    if truth.ndim == 2:
        return np.arange(len(truth))
    known = np.flatnonzero(truth != OUT_OF_SCOPE)
    if not len(known):
        raise DataError(f"{place}: every row is out of scope; give rows with the labels of the model as well")
    return known

"""The loss of a CRF: that of all paths, with gradients, and without a NaN where a transition may not be."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from tidegate.decode.viterbi import FORBIDDEN
from tidegate.tasks import _crf, _tagging

torch = pytest.importorskip("torch")
K = 3
LENGTHS = np.array([3, 1, 4])
TARGETS = np.array([2, 0, 1, 2, 0, 0, 1, 2])


def make_tensors(forbidden: bool = False) -> dict[str, Any]:
    random = np.random.default_rng(2)
    shapes = zip(_crf.TENSORS.values(), ((K, K), (K,), (K,)), strict=True)
    tensors = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes}
    if forbidden:
        tensors[_crf.TENSORS["transitions"]][0, 2] = tensors[_crf.TENSORS["start"]][1] = FORBIDDEN
    return {name: torch.tensor(values, requires_grad=True) for name, values in tensors.items()}


def negative_log_likelihood(y: Any, targets: Any, tensors: dict[str, Any]) -> float:
    """Compute that of one row from the scores of all paths, in float64."""
    transitions, start, end = (tensors[name].detach().double().numpy() for name in _crf.TENSORS.values())
    paths = list(product(range(K), repeat=len(y)))
    scores = np.array(
        [
            start[path[0]]
            + end[path[-1]]
            + sum(y[t, k] for t, k in enumerate(path))
            + sum(transitions[pair] for pair in pairwise(path))
            for path in paths
        ]
    )
    right = [all(t < 0 or k == t for k, t in zip(path, targets, strict=True)) for path in paths]
    weights = np.exp(scores - scores.max())
    return float(np.log(weights.sum()) - np.log(weights[right].sum()))


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("unknown", [[], [1], [3], [0, 4, 5]])
def test_it_is_that_of_all_paths(forbidden: bool, unknown: list[int]) -> None:
    tensors, targets = make_tensors(forbidden), TARGETS.copy()
    targets[unknown] = -1
    y = torch.tensor(np.random.default_rng(1).standard_normal((8, K)).astype(np.float32), requires_grad=True)
    cuts = np.cumsum(LENGTHS)[:-1]
    rows = zip(np.split(y.detach().double().numpy(), cuts), np.split(targets, cuts), strict=True)
    expected = sum(negative_log_likelihood(row, own, tensors) for row, own in rows)
    value = _crf.loss(y, targets, LENGTHS, tensors)
    assert float(value.detach()) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    value.backward()
    assert all(torch.isfinite(t.grad).all() for t in (y, *tensors.values()))
    numbers, total = y.detach().clone(), 0.0
    for change in (1e-2, -1e-2):  # the slope, from two losses
        numbers = y.detach().clone()
        numbers[5, 1] += change
        total += float(_crf.loss(numbers, targets, LENGTHS, tensors).detach()) * np.sign(change) / 2e-2
    assert float(y.grad[5, 1]) == pytest.approx(total, abs=2e-3)


def test_what_is_forbidden_stays_so_and_rows_that_have_it_teach_the_rest() -> None:
    tensors = make_tensors(True)
    y = torch.zeros(8, K, requires_grad=True)
    value = _crf.loss(y, np.array([1, 0, 2, 1, 0, 2, 1, 2]), LENGTHS, tensors)  # both are in the rows
    value.backward()
    assert float(tensors[_crf.TENSORS["transitions"]].grad[0, 2]) == 0
    assert float(tensors[_crf.TENSORS["start"]].grad[1]) == 0
    assert 0 < float(value.detach()) < 20


def test_large_scores_stay_finite() -> None:
    tensors, y = make_tensors(True), torch.tensor([[500.0, -500, 0]] * 8, requires_grad=True)
    value = _crf.loss(y, TARGETS, LENGTHS, tensors)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(y.grad).all()


def test_bio_rules_out_what_may_not_follow() -> None:
    labels = ["B-a", "B-b", "I-a", "I-b", "O"]
    tensors = _crf.init_tensors(labels, True)
    transitions, start, end = tensors.values()
    assert [
        [labels[j], labels[k]] for j, k in zip(*np.where(transitions[:, 2:4] == 0), strict=True) for k in [k + 2]
    ] == [
        ["B-a", "I-a"],
        ["B-b", "I-b"],
        ["I-a", "I-a"],
        ["I-b", "I-b"],
    ]
    assert not transitions[:, [0, 1, 4]].any()
    assert start.tolist() == [0, 0, FORBIDDEN, FORBIDDEN, 0]
    assert not end.any()
    assert not any(values.any() for values in _crf.init_tensors(labels, False).values())


def test_the_entries_of_a_tagger_with_a_crf() -> None:
    outputs, decoders = _tagging.make_outputs(["B-a", "O"], "bio", ["x", "y"], True)
    assert outputs["tags"]["from"] == "path"
    assert outputs["tags"]["scheme"] is None
    assert "part" not in outputs["tags"]
    assert (decoders["path"]["part"], outputs["label"]["part"]) == ([0, 2], [2, 4])

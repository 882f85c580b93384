"""The best path of a CRF: exact where the look-ahead suffices, and final where paths agree."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from tidegate.decode.viterbi import FORBIDDEN, Viterbi

K = 3


def make(look_ahead: int, numbers: dict[str, Any] | None = None, seed: int = 0) -> Viterbi:
    """Make a decoder of small whole numbers, whose sums are exact, and of which many are equal."""
    random = np.random.default_rng(seed)
    shapes = {"transitions": (K, K), "start": (K,), "end": (K,)}
    found = {name: random.integers(-2, 3, shape).astype(np.float32) for name, shape in shapes.items()}
    return Viterbi("decoders.path", {"options": {"look_ahead": look_ahead}}, K, {**found, **(numbers or {})})


def score(decoder: Viterbi, values: Any, path: Any) -> float:
    total = decoder.first[path[0]] + decoder.last[path[-1]] + sum(values[t, k] for t, k in enumerate(path))
    return float(total + sum(decoder.transitions[a, b] for a, b in pairwise(path)))


def search(decoder: Viterbi, values: Any) -> list[int]:
    """Compare all paths. Of equal ones the first, ordered by their labels from the last one on."""
    paths = product(range(K), repeat=len(values))
    return list(max(sorted(paths, key=lambda path: path[::-1]), key=lambda path: score(decoder, values, path)))


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
def test_with_enough_look_ahead_it_is_the_best_of_all_paths(steps: int) -> None:
    ties = 0
    for seed in range(40):
        decoder = make(7, seed=seed)
        values = np.random.default_rng(seed).integers(-3, 4, (steps, K)).astype(np.float32)
        best = search(decoder, values)
        everyone = [score(decoder, values, path) for path in product(range(K), repeat=steps)]
        ties += everyone.count(max(everyone)) > 1
        assert decoder.decode(values).tolist() == best
    assert ties > 3  # else the order of equal paths is not tested


def test_labels_are_final_as_soon_as_all_paths_agree() -> None:
    decoder = make(64, {"transitions": np.zeros((K, K)), "start": np.zeros(K), "end": np.zeros(K)})
    memory = decoder.start(1)
    for step, label in enumerate([2, 0, 1, 1]):  # without transitions, the next step decides
        memory, decided, *_ = decoder.update(memory, np.eye(K, dtype=np.float32)[label : label + 1])
        assert decided[0, 0] == [-1, 2, 0, 1][step]
        assert decoder.count_pending(memory).tolist() == [1]
    assert decoder.finish(memory).decided[0, :2].tolist() == [1, -1]


def never_agree(look_ahead: int) -> Viterbi:
    """Make a decoder whose paths each keep their label, so that they never agree."""
    stay = np.where(np.eye(K), 0, FORBIDDEN).astype(np.float32)
    return make(look_ahead, {"transitions": stay, "start": np.zeros(K), "end": np.zeros(K)})


@pytest.mark.parametrize("look_ahead", [1, 2, 4])
def test_a_label_is_decided_after_as_many_steps_at_the_latest(look_ahead: int) -> None:
    decoder, eye = never_agree(look_ahead), np.eye(K, dtype=np.float32)
    memory, found = decoder.start(1), []
    for step in range(8):
        label = 0 if step <= look_ahead else 1  # label 1 is better in the end, and comes too late
        memory, decided, *_ = decoder.update(memory, (3 if label else 1) * eye[label][None])
        found.append(int((decided >= 0).sum()))
        assert decoder.count_pending(memory)[0] <= look_ahead
    assert found[: look_ahead + 1] == [0] * look_ahead + [1]
    values = np.array([(3 if t > look_ahead else 1) * eye[int(t > look_ahead)] for t in range(8)], np.float32)
    assert decoder.decode(values).tolist() == [0] * 8  # what was decided is never changed
    assert never_agree(64).decode(values).tolist() == [1] * 8


@pytest.mark.parametrize("look_ahead", [1, 2, 5])
def test_many_streams_have_the_bits_of_each(look_ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, random = make(look_ahead), np.random.default_rng(5)
    many, each = decoder.start(9), [decoder.start(1) for _ in range(9)]
    for step in range(12):
        if step == 6:
            monkeypatch.setattr("tidegate.decode.viterbi.MOST_SUMS", 2 * K * K)  # in parts of two streams
        y = random.standard_normal((9, K)).astype(np.float32)
        many, decided, *_ = decoder.update(many, y)
        for k, row in enumerate(y):
            each[k], alone, *_ = decoder.update(each[k], row[None])
            assert decided[k].tolist() == alone[0].tolist()
            for name, values in each[k].items():
                assert many[name][k].tobytes() == values[0].tobytes()


def test_every_step_is_decided_once_and_update_changes_nothing_in_place() -> None:
    random = np.random.default_rng(1)
    for seed in range(20):
        decoder, values = make(3, seed=seed), random.standard_normal((9, K)).astype(np.float32)
        memory, found = decoder.start(1), []
        for row in values:
            before = {name: array.copy() for name, array in memory.items()}
            after = decoder.update(memory, row[None])
            assert all(np.array_equal(before[name], array) for name, array in memory.items())
            memory = after.memory
            decided, pending = int(decoder.count_decided(memory)[0]), int(decoder.count_pending(memory)[0])
            assert (
                decoder.recall(memory)[0, 4 - pending - decided : 4 - pending].tolist()
                == after.decided[0, :decided].tolist()
            )
            found += after.decided[0, :decided].tolist()
            assert decoder.check(memory) == ""
        end = decoder.finish(memory)
        found += end.decided[end.decided >= 0].tolist()
        assert found == decoder.decode(values).tolist()
        assert len(found) == 9


def test_forbidden_transitions_are_never_taken_and_no_number_is_nan() -> None:
    never = np.array([[0, FORBIDDEN, 0], [0, 0, 0], [0, FORBIDDEN, 0]], np.float32)  # label 1 only begins a row
    start = np.array([0, FORBIDDEN, 0], np.float32)  # and not even that
    decoder = make(2, {"transitions": never, "start": start})
    memory = decoder.start(1)
    rows = np.random.default_rng(2).standard_normal((30, K)) + np.array([0, 50, 0])
    for row in rows.astype(np.float32):
        memory, decided, *_ = decoder.update(memory, row[None])
        assert 1 not in decided
        assert np.isfinite(memory["scores"]).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_give_some_label_of_each_step(wrong: float) -> None:
    values = np.random.default_rng(3).standard_normal((9, K)).astype(np.float32)
    values[4] = wrong
    found = make(2).decode(values)
    assert len(found) == 9
    assert ((found >= 0) & (found < K)).all()

"""Thresholds keep labels active as their definition says, and rollouts draw what one generator draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate import decode
from tidegate.decode.base import Context
from tidegate.decode.rollout import DRAWN, Rollout, sample
from tidegate.decode.threshold import Threshold


@pytest.mark.parametrize("least", [1, 2, 5])
def test_a_threshold_by_its_definition(least: int) -> None:
    decoder = Threshold("decoders.active", {"options": {"on": 0.5, "off": -0.5, "least": least}}, 3)
    values = np.random.default_rng(least).standard_normal((200, 3)).astype(np.float32)
    values[::7] = np.nan  # neither as high as `on` nor as `off`
    found = decoder.decode(values)
    for column, flags in zip(values.T, found.T, strict=True):
        active = 0
        for number, flag in zip(column, flags, strict=True):
            stays = active > 0 and (active < least or number >= -0.5)
            active = active + 1 if stays or number >= 0.5 else 0
            assert flag == bool(active)


@pytest.mark.parametrize(("paths", "targets"), [(3, 1), (700, 2), (2 * DRAWN, 1)])
def test_a_rollout_draws_step_after_step(paths: int, targets: int) -> None:
    levels = [0.1, 0.5, 0.9]
    rollout = Rollout("outputs.forecast", {"options": {"quantiles": levels}}, 3 * targets)
    random, quantiles = np.random.default_rng(9), np.random.default_rng(1)
    memory: Any = rollout.start(2, Context(seed=9, paths=paths))
    for _ in range(12):
        y = np.sort(quantiles.standard_normal((2 * paths, targets, 3)), -1)
        memory, decided, following, _ = rollout.update(memory, y)
        shares = np.tile(random.random((paths, targets)), (2, 1))
        assert following is not None
        assert following.tobytes() == sample(y, np.array(levels), shares).tobytes()
        assert decided.shape == (2, 1, targets, 3)


def test_a_rollout_hands_on_what_is_known_of_the_step_after() -> None:
    rollout = Rollout("outputs.forecast", {"options": {"quantiles": [0.5]}}, 1)
    known = np.arange(6.0).reshape(1, 3, 2)
    memory: Any = rollout.start(1, Context(paths=2, known=known))
    rows = []
    for _ in range(3):
        memory, _, following, _ = rollout.update(memory, np.zeros((2, 1, 1)))
        assert following is not None
        rows.append(following.tolist())
    assert rows == [[[0, 2, 3]] * 2, [[0, 4, 5]] * 2, [[0]] * 2]


def test_every_kind_has_its_name() -> None:
    assert {"bio", "rollout", "threshold", "viterbi"} <= set(decode.kinds())

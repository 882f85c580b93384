"""What a classifier decides for series, and what training changes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.data.series import of_arrays
from tidegate.tasks import classify
from tidegate.tasks._lesson import Lesson
from tidegate.tasks._series import Sequences, Variation


def lesson(steps: int, rows: int = 40, **values: Any) -> Lesson:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, steps, 2)) * [1, 5] + [0, 3]
    return classify.lesson(classify.Options(**values), of_arrays(x, labels=["a", "b"] * (rows // 2)), None)


def test_long_series_are_read_by_a_convolution_first_and_short_ones_by_a_wider_recurrence() -> None:
    long, short = lesson(33), lesson(32)
    assert [layer["kind"] for layer in long.layers] == ["scale", "conv", "recurrent", "pool", "dense", "softmax"]
    assert [layer["kind"] for layer in short.layers] == ["scale", "recurrent", "pool", "dense", "softmax"]
    assert (long.options.conv, long.options.hidden) == (5, 64)
    assert (short.options.conv, short.options.hidden) == (0, 128)
    assert (lesson(33, conv=0, hidden=8).options.conv, lesson(32, conv=2).options.conv) == (0, 2)


def test_small_files_take_400_steps() -> None:
    options = lesson(4, rows=200).options
    assert options.batch == 16
    assert options.epochs == -(-400 // -(-180 // options.batch))
    assert lesson(4, rows=200, epochs=3).options.epochs == 3


def variation(**values: float) -> Variation:
    mean, deviation = np.array([3.0, 7.0], np.float32), np.array([2.0, 0.0], np.float32)
    return Variation(mean, deviation, **{"noise": 0.0, "shift": 0.0, "gain": 0.0, **values})


def test_what_training_changes_has_the_deviation_asked_for_and_leaves_marks_alone() -> None:
    rng, x = np.random.default_rng(0), np.full((50, 400, 2), 5.0, np.float32)
    noisy = variation(noise=0.5).of(x, rng)
    assert noisy[..., 0].std(0).mean() == pytest.approx(1.0, rel=0.05)  # half of 2, at every step anew
    shifted = variation(shift=0.5).of(x, rng)
    assert np.ptp(shifted[..., 0], 0).max() == 0  # the same at every step of a row
    assert shifted[0, :, 0].std() == pytest.approx(1.0, rel=0.15)
    stretched = variation(gain=0.5).of(x, rng)
    assert stretched[0, :, 0].std() == pytest.approx(0.5 * (5 - 3), rel=0.15)
    assert stretched[0, :, 0].mean() == pytest.approx(5, abs=0.2)
    for found in (noisy, shifted, stretched):
        assert found.dtype == np.float32
        assert np.array_equal(found[..., 1], x[..., 1])


def test_training_alone_changes_rows_and_the_same_generator_the_same_way() -> None:
    steps = [np.ones((3, 2), np.float32), np.zeros((2, 2), np.float32)]
    rows = Sequences(steps, np.array([0, 1]), variation(noise=0.1, shift=0.1, gain=0.1))
    plain, lengths, targets = rows.batch(np.array([1, 0]))
    assert (lengths.tolist(), targets.tolist()) == ([2, 3], [1, 0])
    assert np.array_equal(plain[:, 1], steps[0])
    one, two = (rows.batch(np.array([1, 0]), np.random.default_rng(4))[0] for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, plain)


def test_what_says_that_a_number_was_missing_is_not_varied() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5, 1))
    x[0, 2] = np.nan
    found = classify.lesson(classify.Options(missing="mask"), of_arrays(x, labels=["a", "b"] * 10), None)
    assert found.features == 2
    rows = found.rows.batch(np.arange(20), np.random.default_rng(0))[0]
    assert set(np.unique(rows[..., 1])) == {0.0, 1.0}

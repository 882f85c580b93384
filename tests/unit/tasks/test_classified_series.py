"""A classifier of series: the options that it decides, its rows and their augmentation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from padded import pad_batch, pad_steps
from tidegate.data.series import from_arrays
from tidegate.errors import DataError
from tidegate.tasks import classify
from tidegate.tasks._classified_series import predictor_inputs, read_unlabelled
from tidegate.tasks._sequences import Augmentation, Sequences
from tidegate.tasks.base import Problem


def make_problem(steps: int, rows: int = 40, **values: Any) -> Problem:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, steps, 2)) * [1, 5] + [0, 3]
    return classify.prepare(from_arrays(x, labels=["a", "b"] * (rows // 2)), None, classify.Options(**values))


def test_long_series_are_read_by_a_convolution_first_and_short_ones_by_a_wider_recurrence() -> None:
    long, short = make_problem(33), make_problem(32)
    assert [layer.kind for layer in long.layers] == ["scale", "conv", "recurrent", "pool", "dense", "softmax"]
    assert [layer.kind for layer in short.layers] == ["scale", "recurrent", "pool", "dense", "softmax"]
    assert (long.options.conv, long.options.hidden) == (5, 64)
    assert (short.options.conv, short.options.hidden) == (0, 128)
    assert (make_problem(33, conv=0, hidden=8).options.conv, make_problem(32, conv=2).options.conv) == (0, 2)


def test_small_files_take_400_steps() -> None:
    options = make_problem(4, rows=200).options
    assert options.batch == 16
    assert options.epochs == -(-400 // -(-180 // options.batch))
    assert make_problem(4, rows=200, epochs=3).options.epochs == 3


@pytest.mark.parametrize(("rare", "steps"), [(24, 1200), (26, 400)])
@pytest.mark.parametrize("separator", [None, ";"])
def test_small_files_take_more_steps_where_a_label_is_rare(rare: int, steps: int, separator: str | None) -> None:
    x = np.random.default_rng(0).normal(size=(200, 4, 1))
    labels = ["a"] * (200 - rare) + ["b"] * rare  # a quarter of an even share is 25 rows
    options = classify.Options(label_separator=separator)
    options = classify.prepare(from_arrays(x, labels=labels), None, options).options
    assert options.epochs == -(-steps // -(-180 // options.batch))
    assert classify.prepare(from_arrays(x, labels=labels), None, replace(options, epochs=3)).options.epochs == 3


def test_windows_not_series_decide_how_long_is_learnt() -> None:
    found = make_problem(1000, rows=10, window=20)
    assert len(found.train_rows) + len(found.valid_rows) == 10 * 99
    assert found.options.batch == 32
    assert found.options.epochs == 400 // 28 + 1  # 28 batches are 90 of 100 windows
    assert found.options.conv == 0
    assert {i // 99 for i in found.train_rows}.isdisjoint(i // 99 for i in found.valid_rows)  # no series on both sides


@pytest.mark.parametrize("missing", ["error", "mask"])
def test_without_a_refit_held_out_rows_tell_nothing(missing: str) -> None:
    """Neither the statistics nor the fill values depend on them: held-out series a million away change no tensor."""
    x, labels = np.random.default_rng(0).normal(size=(40, 5, 2)), ["a", "b"] * 20
    for refit, same in ((0, True), (2, False)):
        options = classify.Options(refit_epochs=refit, missing=missing)
        first = classify.prepare(from_arrays(x, labels=labels), None, options)
        moved = x.copy()
        moved[first.valid_rows] += 1e6
        second = classify.prepare(from_arrays(moved, labels=labels), None, options)
        assert np.array_equal(first.valid_rows, second.valid_rows)
        tensors = {**first.initial, **first.arrays}
        assert all(np.array_equal(v, {**second.initial, **second.arrays}[k]) for k, v in tensors.items()) == same


TABLE = "id,x,y,label\n" + "".join(
    f"s{i},{t + i},{-t * i},{'ab'[i % 2]}\n" for i in range(20) for t in range(4 + i % 3)
)
FILES = ("t.csv", "turned.csv")
TURNED = "\n".join(",".join(row.split(",")[k] for k in (0, 2, 1, 3)) for row in TABLE.split())


def test_columns_in_another_order_are_the_same_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "turned.csv").write_text(TURNED)
    options = classify.Options(id="id")
    source = classify.read(tmp_path / "t.csv", options)
    turned = classify.read(tmp_path / "turned.csv", options, ["x", "y"])
    for a, b in zip(source.series, turned.series, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
    others = replace(source, series=[replace(s, values=s.values + 1) for s in source.series], sha256="")
    judged = [classify.prepare(others, classify.read(tmp_path / name, options), options) for name in FILES]
    for one in judged:
        np.testing.assert_array_equal(
            pad_batch(one.rows, one.valid_rows)[0], pad_batch(judged[0].rows, one.valid_rows)[0]
        )
    with pytest.raises(DataError, match=r"has 2 columns \('x', 'y'\); the model was fitted on 1 column \('x'\)"):
        classify.read(tmp_path / "t.csv", options, ["x"])


def test_what_is_asked_has_the_named_columns_alone(tmp_path: Path) -> None:
    """A row is a series; its other columns are not its steps."""
    (tmp_path / "wide.csv").write_text("v0,v1,v2,age,label\n1,2,3,70,a\n4,5,6,71,b\n")
    options = classify.Options(values="v0,v1,v2", input="series")
    learnt = classify.read(tmp_path / "wide.csv", options)
    found = read_unlabelled(tmp_path / "wide.csv", options, ["value"])
    assert [s.values[:, 0].tolist() for s in found.series] == [[1, 2, 3], [4, 5, 6]]
    assert [s.values.tolist() for s in found.series] == [s.values.tolist() for s in learnt.series]


@pytest.mark.parametrize(
    ("offset", "size", "message"),
    [
        (
            1e8,
            1e-7,
            r"column 'value' varies by [\d.e-]+ about 100000000, no more than rounding; leave it out of --values",
        ),
        (0.3, 0.0, "column 'value' is 0.3 at every step, so it carries no information; leave it out of --values"),
        (0.0, 0.0, "column 'value' is 0 at every step"),
    ],
)
def test_a_column_that_never_changes_is_refused(offset: float, size: float, message: str) -> None:
    x = np.random.default_rng(0).normal(size=(40, 9, 1)) * size + offset
    with pytest.raises(DataError, match=message):
        classify.prepare(from_arrays(x, labels=["a", "b"] * 20), None, classify.Options())


def test_a_series_shorter_than_the_window_is_named_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    options = classify.Options(id="id", window=5)
    with pytest.raises(DataError, match=r"t.csv:2: the series has 4 steps, and the window takes 5"):
        predictor_inputs(read_unlabelled(tmp_path / "t.csv", options, ["x", "y"]), options)


def make_augmentation(**values: float) -> Augmentation:
    mean, deviation = np.array([3.0, 7.0], np.float32), np.array([2.0, 0.0], np.float32)
    return Augmentation(mean, deviation, **{"noise": 0.0, "shift": 0.0, "gain": 0.0, **values})


def test_what_training_changes_has_the_deviation_asked_for_and_leaves_marks_alone() -> None:
    rng, lengths = np.random.default_rng(0), np.full(400, 50)
    packed = np.full((50 * 400, 2), 5.0, np.float32)
    x = pad_steps(packed, lengths)
    noisy = pad_steps(make_augmentation(noise=0.5).apply(packed, lengths, rng), lengths)
    assert noisy[..., 0].std(0).mean() == pytest.approx(1.0, rel=0.05)  # half of 2, at every step anew
    shifted = pad_steps(make_augmentation(shift=0.5).apply(packed, lengths, rng), lengths)
    assert np.ptp(shifted[..., 0], 0).max() == 0  # the same at every step of a row
    assert shifted[0, :, 0].std() == pytest.approx(1.0, rel=0.15)
    stretched = pad_steps(make_augmentation(gain=0.5).apply(packed, lengths, rng), lengths)
    assert stretched[0, :, 0].std() == pytest.approx(0.5 * (5 - 3), rel=0.15)
    assert stretched[0, :, 0].mean() == pytest.approx(5, abs=0.2)
    for found in (noisy, shifted, stretched):
        assert found.dtype == np.float32
        assert np.array_equal(found[..., 1], x[..., 1])


def test_training_alone_changes_rows_and_the_same_generator_the_same_way() -> None:
    steps = [np.ones((3, 2), np.float32), np.zeros((2, 2), np.float32)]
    rows = Sequences(steps, "label", np.array([0, 1]), make_augmentation(noise=0.1, shift=0.1, gain=0.1))
    plain, lengths, targets = pad_batch(rows, np.array([1, 0]))
    assert (lengths.tolist(), targets.tolist()) == ([2, 3], [1, 0])
    assert np.array_equal(plain[:, 1], steps[0])
    one, two = (pad_batch(rows, np.array([1, 0]), np.random.default_rng(4))[0] for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, plain)


def test_what_says_that_a_number_was_missing_is_not_varied() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5, 1))
    x[0, 2] = np.nan
    found = classify.prepare(from_arrays(x, labels=["a", "b"] * 10), None, classify.Options(missing="mask"))
    assert found.features == 2
    rows = pad_batch(found.rows, np.arange(20), np.random.default_rng(0))[0]
    assert set(np.unique(rows[..., 1])) == {0.0, 1.0}


def test_a_column_that_is_one_number_a_series_is_not_varied() -> None:
    """An offset would make it that of another series: the time since the last heartbeat says which kind a beat is."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(20, 5, 1)), np.repeat(rng.normal(size=(20, 1, 1)), 5, 1)], axis=2)
    x[:10, 0, 1] = np.nan  # a missing number is no change
    source = from_arrays(x, labels=["a", "b"] * 10)
    found = classify.prepare(source, None, classify.Options(missing="mask")).rows
    plain, varied = pad_batch(found, np.arange(20)), pad_batch(found, np.arange(20), np.random.default_rng(0))
    assert np.array_equal(varied[0][..., 1], plain[0][..., 1])
    assert (varied[0][..., 0] != plain[0][..., 0]).all()


def test_columns_of_series_of_one_step_are_varied() -> None:
    x = np.random.default_rng(0).normal(size=(20, 1, 2))
    found = classify.prepare(from_arrays(x, labels=["a", "b"] * 10), None, classify.Options()).rows
    plain, varied = pad_batch(found, np.arange(20)), pad_batch(found, np.arange(20), np.random.default_rng(0))
    assert (varied[0] != plain[0]).all()


@pytest.mark.parametrize("options", [{}, {"window": 8}, {"missing": "mask"}], ids=str)
def test_an_offset_changes_no_row_that_a_classifier_learns_from(options: dict[str, Any]) -> None:
    """Far from zero the transform scales, in float64; near zero a layer does, which exports also have."""
    x = np.random.default_rng(0).integers(-40, 40, (16, 16, 1)) / 8
    made = []
    for offset in (0.0, 2.0**30):
        source = from_arrays(x + offset, labels=["a", "b"] * 8)
        made.append(classify.prepare(source, None, classify.Options(**options)))
    near, far = (pad_batch(one.rows, np.arange(16))[0] for one in made)
    if "window" not in options:
        assert (made[0].layers[0].kind, made[1].layers[0].kind) == ("scale", "recurrent")
        near[..., 0] = (near[..., 0] - made[0].initial["layers.0.mean"][0]) / made[0].initial["layers.0.deviation"][0]
    np.testing.assert_allclose(far, near, rtol=1e-5, atol=1e-6)

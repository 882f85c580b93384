"""Held-out rows: none equals a training row, and groups stay whole."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.data.series import from_arrays
from tidegate.data.table import Table
from tidegate.errors import DataError
from tidegate.tasks import classify
from tidegate.tasks._cross_calibration import cross_calibrate
from tidegate.tasks._holdout import split
from tidegate.tasks.base import Predictions, Problem


def table(texts: list[str], labels: list[str], sha256: str = "", **columns: list[str]) -> Table:
    return Table("t.csv", {"text": texts, "label": labels, **columns}, list(range(2, len(texts) + 2)), sha256)


def make_problem(source: Any, judged: Any = None, **values: Any) -> Problem:
    return classify.prepare(source, judged, classify.Options(**values))


def are_apart(found: Problem, names: list[str]) -> bool:
    """Check that no name is on both sides of the split."""
    return {names[i] for i in found.train_rows}.isdisjoint(names[i] for i in found.valid_rows)


def hold_out_rows(targets: npt.NDArray[np.int64], share: float, seed: int) -> npt.NDArray[np.int64]:
    """Hold out the first rows of a permutation of each class, as a split without groups does."""
    rng, held = np.random.default_rng([seed, 2]), []
    for k in np.unique(targets):
        rows = rng.permutation(np.flatnonzero(targets == k))
        held.append(rows[: min(len(rows) - 1, max(1, round(share * len(rows))))] if len(rows) > 1 else rows[:0])
    return np.sort(np.concatenate(held))


def test_rows_that_all_differ_are_parted_as_by_rows_alone() -> None:
    rng = np.random.default_rng(0)
    for seed in range(40):
        targets = rng.integers(0, rng.integers(1, 20), rng.integers(1, 300))
        share = float(rng.choice([0.01, 0.1, 0.3, 0.9]))
        for groups in (None, rng.permutation(len(targets))):
            kept, held = split(targets, share, seed, groups)
            assert np.array_equal(held, hold_out_rows(targets, share, seed))
            assert sorted([*kept, *held]) == list(range(len(targets)))


@pytest.mark.parametrize("count", [12, 60, 400])
def test_groups_stay_whole_and_classes_keep_their_share(count: int) -> None:
    rng = np.random.default_rng(count)
    targets, groups = rng.choice(4, 2000, p=[0.6, 0.25, 0.1, 0.05]), rng.integers(0, count, 2000)
    kept, held = split(targets, 0.1, 0, groups)
    assert not np.intersect1d(groups[kept], groups[held]).size
    shares = np.bincount(targets[held], minlength=4) / np.bincount(targets)
    assert 0.04 < shares.min() <= shares.max() < 0.2
    assert len(held) == pytest.approx(200, abs=40)


def test_every_class_that_has_two_groups_is_held_out_and_learnt_from() -> None:
    targets, groups = np.repeat([0, 1, 2], 100), np.repeat([0, 1, 2, 3, 4], [90, 10, 50, 50, 100])
    kept, held = split(targets, 0.1, 0, groups)
    assert np.bincount(targets[held], minlength=3).tolist() == [10, 50, 0]
    assert np.unique(targets[kept]).tolist() == [0, 1, 2]


def test_a_hundred_thousand_rows_are_parted_in_a_moment() -> None:
    rng = np.random.default_rng(0)
    begun = time.process_time()
    split(rng.integers(0, 150, 100_000), 0.1, 0, rng.integers(0, 60_000, 100_000))
    assert time.process_time() - begun < 5


def test_copies_of_a_text_stay_on_one_side_whatever_their_labels() -> None:
    rng = np.random.default_rng(0)
    texts = [f"Text {i % 150}" if i < 450 else f" text  {i % 150}" for i in range(900)]
    found = make_problem(table(texts, [str(k) for k in rng.integers(0, 2, 900)]))
    assert are_apart(found, [str(i % 150) for i in range(900)])
    assert len(found.valid_rows) == pytest.approx(90, abs=6)
    (note,) = found.notes[0]
    assert note.startswith(
        "750 of 900 rows repeat another one, 364 of them with a different label; equal rows stay on one"
    )


def test_copies_of_a_series_stay_on_one_side() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5, 1))
    x[0, 0] = 0
    found = make_problem(from_arrays(np.concatenate([x, np.where(x == 0, -0.0, x), x]), labels=["a", "b"] * 30))
    assert are_apart(found, [str(i % 20) for i in range(60)])
    assert found.provenance["judged_on"] == "6 of 60 series, held out"
    assert found.notes == [["40 of 60 series repeat another one; equal series stay on one side of the hold-out"]]


def test_groups_are_held_out_as_a_whole_and_what_equals_a_learnt_row_judges_nothing() -> None:
    groups = [f"p{i // 10}" for i in range(400)]
    texts = ["hello" if i % 10 == 0 else f"text {i}" for i in range(400)]
    found = make_problem(table(texts, ["a", "b"] * 200, group=groups), group="group")
    assert are_apart(found, groups)
    assert are_apart(found, texts)
    assert found.provenance["judged_on"] == "36 of 400 rows, held out, of 4 of 40 groups"
    assert "4 of the rows held out read the same as training rows of other groups" in found.notes[0][1]
    x = np.random.default_rng(0).normal(size=(40, 5))
    series = from_arrays(x, labels=["a", "b"] * 20, groups=[i // 4 for i in range(40)])
    assert are_apart(make_problem(series, group="patient"), [str(i // 4) for i in range(40)])
    with pytest.raises(DataError, match="t.csv:3: column 'group' has no group; fill it in or leave the row out"):
        make_problem(table(["a", "b"], ["x", "y"], group=["g", " "]), group="group")


def test_a_class_that_cannot_be_held_out_is_named() -> None:
    labels = ["a"] * 20 + ["b"] * 20 + ["rare"] + ["copied"] * 3
    found = make_problem(table([f"text {i}" for i in range(41)] + ["copy"] * 3, labels))
    assert (
        "nothing is held out of 2 labels ('copied', 'rare'), which have too few rows that differ" in found.notes[0][1]
    )


def test_a_file_to_judge_by_with_the_same_rows_is_refused() -> None:
    texts, labels = [f"text {i}" for i in range(20)], ["a", "b"] * 10
    source = table(texts, labels, "1")
    turned = table([text.upper() for text in texts[::-1]], labels[::-1], "2")
    for judged in (replace(source, path="v.csv"), replace(turned, path="v.csv")):
        with pytest.raises(DataError, match="v.csv: has the same rows as t.csv, so it cannot validate"):
            make_problem(source, judged)


def test_rows_to_judge_by_that_are_learnt_from_too_are_counted() -> None:
    texts, labels = [f"text {i}" for i in range(20)], ["a", "b"] * 10
    source = table(texts, labels, "1", group=[f"g{i}" for i in range(20)])
    judged = table(["text 3", "new", "newer"], ["a", "b", "b"], "2", group=["g30", "g31", "g7"])
    found = make_problem(source, judged)
    assert found.notes == [[], ["1 of 3 rows is also in the training data: on those the figures are no test"]]
    assert found.provenance["judged_on"] == "3 rows of another file, 1 of which is also in the training data"
    said = "2 of 3 rows are also in the training data or of a group there: on those the figures are no test"
    assert make_problem(source, judged, group="group").notes[1] == [said]


def test_no_row_is_judged_by_a_factor_that_it_had_a_say_in() -> None:
    rng, problem = np.random.default_rng(0), make_problem(table(list("abcd"), ["x", "y"] * 2))
    outputs, targets = rng.normal(size=(60, 3)) * 5, rng.integers(0, 3, 60)
    folds = np.arange(60) % 5

    def calibrate(targets: Any, n: int = 60) -> Any:
        predictions = Predictions(n, {"label": outputs[:n]}, {"label": targets[:n]}, {"label": np.arange(n)})
        return cross_calibrate(problem, predictions, folds[:n]).outputs["label"]

    found = calibrate(targets)
    for fold in range(5):
        changed = np.where(folds == fold, (targets + 1) % 3, targets)
        again = calibrate(changed)
        assert np.array_equal(found[folds == fold], again[folds == fold])
    assert np.array_equal(calibrate(targets, 1), outputs[:1])


def test_labels_ids_and_groups_that_look_alike_are_warned_of() -> None:
    texts, labels = [f"text {i}" for i in range(40)], ["card", "cash"] * 18 + ["card ", "cash"] * 2
    groups = [f"p{i // 2}" for i in range(38)] + ["P1", "nan"]
    notes = make_problem(table(texts, labels, group=groups), group="group").notes[0]
    said = ["warning: labels 'card' (18 rows) and 'card ' (2 rows)", "warning: groups 'p1' (2 rows) and 'P1' (1 row)"]
    assert [note.startswith(start) for note, start in zip(notes, said, strict=False)] == [True, True]
    assert notes[2].startswith("warning: group 'nan' (1 row) is what other programs write for a missing value")
    x, ids = np.random.default_rng(0).normal(size=(20, 5)), [f"s{i}" for i in range(19)] + ["s1 "]
    (note,) = make_problem(from_arrays(x, labels=["a", "b"] * 10, ids=ids)).notes[0]
    assert note.startswith("warning: ids 's1' (5 steps) and 's1 ' (5 steps) differ only by a space at the end")
    several = make_problem(table(texts, ["a; b", "A"] * 20), label_separator=";").notes[0]
    assert several[0].startswith("warning: labels 'A' (20 rows) and 'a' (20 rows) differ only by upper and lower case")


def test_an_unseen_label_that_looks_like_a_seen_one_is_told_apart() -> None:
    with pytest.raises(
        DataError, match="label 'card\\\\xa0' was not seen in training; it differs from 'card' by a space"
    ):
        classify.read_targets(table(["a", "b"], ["card", "card\u00a0"]), classify.Options(), ["card", "cash"])


def test_rows_that_repeat_another_with_another_label_are_counted() -> None:
    labels = ["a;b", "a", "b", "a;b"] * 10
    found = make_problem(table([f"text {i // 2}" for i in range(40)], labels), label_separator=";")
    assert found.notes[0][0].startswith(
        "20 of 40 rows repeat another one, 20 of them with a different label; equal rows"
    )


def test_held_out_windows_are_said_to_be_windows() -> None:
    x = np.random.default_rng(0).normal(size=(10, 100, 1))
    made = make_problem(from_arrays(x, labels=["a", "b"] * 5), window=20, refit_epochs=0)
    assert made.provenance == {
        "rows": {"trained": 72, "held_out": 18, "of": "windows"},
        "judged_on": "18 windows of 2 of 10 series, held out",
    }
    assert len(np.intersect1d(made.groups[made.train_rows], made.groups[made.valid_rows])) == 0


def test_columns_that_only_look_like_a_models_are_told_apart() -> None:
    source = from_arrays(np.zeros((2, 5, 2)), labels=["a", "b"], columns=["x", "y\u00a0"])
    with pytest.raises(DataError, match=r"give it those; 'y\\xa0' differs from 'y' by a space at the end"):
        classify.read(source, classify.Options(), ["x", "y"])

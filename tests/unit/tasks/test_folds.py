"""Folds: every row in one, labels in equal shares, groups whole; of time, nothing is trained on what follows it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tidegate import tasks
from tidegate.data.series import Collection, from_arrays
from tidegate.data.table import Table
from tidegate.errors import DataError
from tidegate.tasks._folds import assign_folds, split_rows
from tidegate.tasks.base import Fold


def make_table(**columns: list[Any]) -> Table:
    count = len(next(iter(columns.values())))
    return Table("t.csv", columns, list(range(2, count + 2)), "whole")


def lines(fold: Fold) -> tuple[list[int], list[int]]:
    return list(fold.source.lines), list(fold.valid.lines)


TEXTS = [f"words number {i}" for i in range(60)]
LABELS = ["a"] * 30 + ["b"] * 20 + ["c"] * 10


def split(task: str, table: Any, count: int, **options: Any) -> list[Fold]:
    module = tasks.load(task)
    made: list[Fold] = module.split_folds(table, module.Options(**options), count)
    return made


def check_partition(folds: list[Fold], rows: list[int]) -> None:
    assert sorted(line for fold in folds for line in fold.valid.lines) == rows
    for fold in folds:
        train, valid = lines(fold)
        assert sorted([*train, *valid]) == rows
        assert fold.held_out == len(valid)


def test_each_row_is_in_one_fold_and_labels_have_equal_shares() -> None:
    table = make_table(text=TEXTS, label=LABELS)
    folds = split("classify", table, 5)
    check_partition(folds, table.lines)
    assert all(Counter(fold.valid.columns["label"]) == {"a": 6, "b": 4, "c": 2} for fold in folds)
    assert folds[0].valid.locate(0) == f"t.csv:{folds[0].valid.lines[0]}"
    hashes = {one.sha256 for fold in folds for one in (fold.source, fold.valid)} | {table.sha256}
    assert len(hashes) == 11


def test_folds_follow_from_the_seed() -> None:
    table = make_table(text=TEXTS, label=LABELS)
    first, again, other = (split("classify", table, 3, seed=seed) for seed in (1, 1, 2))
    assert [lines(fold) for fold in first] == [lines(fold) for fold in again]
    assert [lines(fold) for fold in first] != [lines(fold) for fold in other]


def test_rows_that_read_the_same_stay_in_one_fold() -> None:
    table = make_table(text=["Hello there"] * 3 + ["hello  there"] + TEXTS[:20], label=["a", "b"] * 12)
    folds = split("classify", table, 4)
    check_partition(folds, table.lines)
    assert sum(2 in fold.valid.lines for fold in folds) == 1
    assert all(set(fold.valid.lines) & {2, 3, 4, 5} in (set(), {2, 3, 4, 5}) for fold in folds)


def test_groups_stay_whole() -> None:
    who = [str(i // 4) for i in range(60)]
    table = make_table(text=TEXTS, label=["a", "b", "c"] * 20, who=who)
    folds = split("classify", table, 5, group="who")
    check_partition(folds, table.lines)
    for fold in folds:
        assert not set(fold.valid.columns["who"]) & set(fold.source.columns["who"])
        assert min(Counter(fold.valid.columns["label"]).values()) >= 3


def test_conversations_stay_whole() -> None:
    talk, turn = [str(i // 6) for i in range(60)], list(range(60))
    table = make_table(text=TEXTS, label=["a", "b", "c"] * 20, talk=talk, turn=turn)
    folds = split("classify", table, 5, conversation="talk", turn="turn")
    check_partition(folds, table.lines)
    assert [len(set(fold.valid.columns["talk"])) for fold in folds] == [2] * 5
    assert all(not set(fold.valid.columns["talk"]) & set(fold.source.columns["talk"]) for fold in folds)


def test_rows_that_are_left_out_are_in_no_fold() -> None:
    table = make_table(text=["", *TEXTS[:20]], label=["a"] + ["a", "b"] * 10)
    check_partition(split("classify", table, 4, skip_bad=True), table.lines[1:])


def test_each_of_several_labels_is_known_in_every_fold() -> None:
    table = make_table(text=TEXTS, label=["a;b", "b", "c;a", ""] * 15)
    for fold in split("classify", table, 3, label_separator=";"):
        assert {"a;b", "b", "c;a"} <= set(fold.source.columns["label"])


def test_series_are_taken_with_their_places() -> None:
    series = from_arrays(list(np.random.default_rng(0).normal(size=(12, 5))), labels=["a", "b"] * 6)
    folds = split("classify", series, 3, input="series")
    assert [Counter(one.label for one in fold.valid.series) for fold in folds] == [{"a": 2, "b": 2}] * 3
    assert all(isinstance(fold.valid, Collection) and len(fold.source) == 8 for fold in folds)


@pytest.mark.parametrize("options", [{}, {"pairs": "other"}, {"label": "label"}])
def test_encoders_have_folds(options: dict[str, str]) -> None:
    table = make_table(text=TEXTS, other=TEXTS[::-1], label=LABELS)
    check_partition(split("encode", table, 4, **options), table.lines)


def test_an_encoder_of_one_long_series_is_measured_on_parts_of_it() -> None:
    folds = split("encode", from_arrays([np.random.default_rng(0).normal(size=400)]), 5, input="series")
    assert [(len(fold.source), len(fold.valid)) for fold in folds] == [(8, 2)] * 5


def test_a_tagger_may_have_labels_of_a_single_row() -> None:
    table = make_table(tokens=TEXTS[:20], tags=["O B-x I-x"] * 20, label=["a"] * 19 + ["b"])
    check_partition(split("tag", table, 4, label="label"), table.lines)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            {"text": TEXTS[:8], "label": ["a"] * 7 + ["b"]},
            {},
            "t.csv: label 'b' has 1 row, and has to be in 2 folds or more, so that it is trained on when one of them "
            "measures; add rows of it, leave those out, or leave --folds out",
        ),
        (
            {"text": TEXTS[:8], "label": ["a", "b"] * 4, "who": ["1", "2"] * 4},
            {"group": "who"},
            "t.csv: has 2 groups, and 3 folds take 3; add some, or make fewer folds (--folds)",
        ),
        (
            {"text": ["same words"] * 7 + ["others"], "label": ["a", "b"] * 4},
            {},
            "t.csv: has 2 rows that differ, and 3 folds take 3; add some, or make fewer folds (--folds)",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_with_what_to_do(
    columns: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        split("classify", make_table(**columns), 3, **options)
    assert str(caught.value) == message


def test_rows_without_a_label_measure_nothing() -> None:
    folds = split_rows(make_table(x=["x"] * 8), 2, np.arange(8), np.array([0, 0, 1, 1, -2, -2, -2, -2]), ["a", "b"])
    assert [fold.held_out for fold in folds] == [2, 2]


def test_labels_are_balanced_where_groups_have_several() -> None:
    random = np.random.default_rng(3)
    groups, labels = random.integers(0, 80, 2000), random.choice(4, 2000, p=[0.7, 0.2, 0.09, 0.01])
    folds = assign_folds(labels, groups, 5, 0)
    for k in range(4):
        share = np.bincount(folds[labels == k], minlength=5) / (labels == k).sum()
        assert abs(share - 0.2).max() < (0.15 if k == 3 else 0.05)


# ---- time


def cut_points(folds: list[Fold], i: int = 0) -> list[int]:
    return [len(fold.source.series[i]) for fold in folds]


def test_a_forecaster_is_never_trained_on_what_follows_and_each_step_measures_once() -> None:
    module, options = tasks.load("forecast"), {"horizon": 4, "hidden": 4, "lookback": 12}
    source = module.read(from_arrays([np.random.default_rng(0).normal(size=400).cumsum()]), module.Options(**options))
    folds, measured = split("forecast", source, 4, **options), list[tuple[int, int]]()
    assert cut_points(folds)[-1] == 400
    for fold in folds:
        assert fold.valid is None
        length = len(fold.source.series[0])
        assert np.array_equal(fold.source.series[0].values, source.series[0].values[:length])
        problem = module.prepare(fold.source, None, module.Options(**options))
        trained, held_out = (problem.rows.ends[problem.rows.part == part] for part in (0, 1))
        assert trained.max() + 4 < held_out.min() + 1
        assert fold.held_out == len(held_out) == problem.count_held_out()
        measured.append((int(held_out.min()) + 1, int(held_out.max()) + 4))
    assert all(last < first for (_, last), (first, _) in pairwise(measured))


def test_known_columns_end_where_their_targets_do() -> None:
    module, options = tasks.load("forecast"), {"horizon": 5, "known": "day", "targets": "load"}
    numbers = np.random.default_rng(0).normal(size=(300, 2))
    source = module.read(from_arrays([numbers], columns=["load", "day"]), module.Options(**options))
    folds = split("forecast", source, 3, **options)
    made = [module.prepare(fold.source, None, module.Options(**options, hidden=4)) for fold in folds]
    assert [fold.held_out for fold in folds] == [problem.count_held_out() for problem in made]


def test_short_series_leave_the_folds_that_end_before_them() -> None:
    module = tasks.load("forecast")
    source = module.read([np.arange(500.0) % 7, np.arange(1.0)], module.Options(horizon=2))
    folds = split("forecast", source, 3, horizon=2)
    assert [len(fold.source) for fold in folds] == [1, 1, 2]


def test_too_few_steps_for_so_many_folds_are_refused() -> None:
    module = tasks.load("forecast")
    source = module.read([np.arange(60.0)], module.Options(horizon=6))
    with pytest.raises(DataError) as caught:
        split("forecast", source, 9, horizon=6)
    assert str(caught.value) == (
        "arrays: 9 folds, each of which ends before the held-out steps of the next one, leave the first of them 4 "
        "steps to train on and 4 steps to hold out, and a forecast takes 2 and the 6 after them; make at most 5 folds "
        "(--folds), shorten --horizon, or hold out less (--hold-out)"
    )
    split("forecast", source, 5, horizon=6)

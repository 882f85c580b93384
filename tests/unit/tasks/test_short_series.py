"""Series shorter than a window: how they are trained on, and how those left out are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from padded import pad_batch
from tidegate.data.series import from_arrays
from tidegate.errors import DataError
from tidegate.features.memory import init, update
from tidegate.tasks._windows import Windows
from tidegate.tasks.base import Problem
from tidegate.tasks.forecast import Options, prepare, read
from transforms import read_transform

RANDOM = np.random.default_rng(3)


def panel(*lengths: int, **options: Any) -> Problem:
    source = from_arrays(
        [RANDOM.standard_normal(n).cumsum()[:, None] for n in lengths], columns=["y"], ids=[f"s{n}" for n in lengths]
    )
    chosen = Options(horizon=2, lookback=6, segment=2, season=4, hidden=2, hold_out=0.2, **options)
    return prepare(read(source, chosen), None, chosen)


def test_series_shorter_than_a_window_are_learnt_from_and_what_is_left_out_is_named() -> None:
    made = panel(60, 50, 9, 3, 1)
    transform = read_transform(made)
    assert transform.window is not None
    assert (transform.window.least, transform.window.reach) == (2, 10)
    assert isinstance(made.rows, Windows)
    assert set(made.rows.series[made.train_rows].tolist()) == {0, 1, 2}
    assert made.provenance["not_learnt_from"] == [
        {"series": "s3", "reason": "has 3 steps"},
        {"series": "s1", "reason": "has 1 step"},
    ]
    (said,) = made.summaries
    assert (
        "; 3 series too short for a full look-back of 10 steps, so forecasts are trained and made from 2 steps" in said
    )
    assert (
        "; 2 series not trained on (that takes 4 steps before the held-out end): 's3' has 3 steps, 's1' has 1 step"
        in said
    )
    assert "; 2 series not evaluated on (that takes 2 steps and 2 held out): 's3' has 3 steps, 's1' has 1 step" in said
    assert all(isinstance(figure, float) for figure in made.provenance["baselines"].values())
    full = made.rows.behind >= 10
    assert (~full[made.rows.series < 2]).sum() <= full[made.rows.series < 2].sum() / 4


def test_short_windows_are_a_streams_to_the_bit() -> None:
    made = panel(40, 9)
    assert isinstance(made.rows, Windows)
    data, transform = made.rows, read_transform(made)
    x, lengths, _ = pad_batch(data, np.arange(len(data.lengths)))
    assert sorted(set(lengths.tolist())) == [1, 2, 3]
    for row in range(len(data.lengths)):
        memory = init(transform, 0)
        steps = data.steps[data.first[row] : data.ends[row] + 1]
        _, memory = update(transform, memory, steps, None)
        assert memory.ring is not None
        streamed, frame = transform.make_windows(
            memory.ring, np.array([len(memory.ring) - 1]), np.array([len(memory.ring)])
        )
        assert streamed[0, : lengths[row]].tobytes() == np.ascontiguousarray(x[: lengths[row], row]).tobytes()
        assert frame.spread.tobytes() == data.read_windows(np.array([row]))[1].spread.tobytes()


def test_series_that_all_fill_a_window_are_learnt_from_full_windows_alone() -> None:
    made = panel(60, 50)
    assert "least" not in made.inputs["x"]["window"]
    assert isinstance(made.rows, Windows)
    assert made.rows.behind.min() == 10
    assert made.provenance["not_learnt_from"] == []


def test_series_of_another_file_that_are_too_short_to_judge_by_are_named() -> None:
    source = from_arrays([RANDOM.standard_normal((50, 1))], columns=["y"])
    judged = from_arrays([RANDOM.standard_normal((n, 1)) for n in (50, 3)], columns=["y"], ids=["a", "b"])
    options = Options(horizon=2, lookback=6, segment=1, season=0, hidden=2)
    made = prepare(read(source, options), read(judged, options), options)
    assert made.provenance["not_judged_by"] == [{"series": "b", "reason": "has 3 steps"}]
    assert made.summaries[1].endswith("1 series not evaluated on (that takes 4 steps): 'b' has 3 steps")


def test_another_file_of_short_series_alone_judges_a_model_that_reads_short_windows() -> None:
    source = from_arrays([RANDOM.standard_normal((n, 1)) for n in (50, 9)], columns=["y"], ids=["a", "b"])
    judged = from_arrays([RANDOM.standard_normal((n, 1)) for n in (6, 5)], columns=["y"], ids=["c", "d"])
    options = Options(horizon=2, lookback=8, segment=1, season=0, hidden=2)
    made = prepare(read(source, options), read(judged, options), options)
    said = "{} series too short for a full look-back of 8 steps, so forecasts are trained and made from 2 steps on"
    assert made.provenance["rows"]["held_out"] == 5
    assert said.format(1) in made.summaries[0]
    assert said.format(2) in made.summaries[1]
    with pytest.raises(DataError, match=r"to train on: .* take 10 steps, and the longest series has 6;"):
        prepare(read(judged, options), read(source, options), options)


def test_no_series_is_called_short_where_only_those_to_judge_by_are() -> None:
    source = from_arrays([RANDOM.standard_normal((50, 1))], columns=["y"])
    judged = from_arrays([RANDOM.standard_normal((n, 1)) for n in (50, 6)], columns=["y"], ids=["a", "b"])
    options = Options(horizon=2, lookback=8, segment=1, season=0, hidden=2)
    made = prepare(read(source, options), read(judged, options), options)
    assert "too short" not in made.summaries[0]
    assert "; 1 series too short for a full look-back of 8 steps" in made.summaries[1]


def test_an_error_about_short_series_says_to_hold_out_less_where_that_helps() -> None:
    source = from_arrays([RANDOM.standard_normal((8, 1)) for _ in range(4)], columns=["y"], ids=list("abcd"))
    options = Options(horizon=3, hidden=2)
    with pytest.raises(DataError, match="longest series has 4; .* hold out less"):
        prepare(read(source, options), None, options)
    less = Options(horizon=3, hidden=2, hold_out=0.3)
    assert prepare(read(source, less), None, less).provenance["rows"] == {"trained": 4, "held_out": 4}


def test_a_series_without_statistics_of_its_own_is_refused_by_its_length() -> None:
    source = from_arrays([RANDOM.standard_normal((n, 1)) for n in (50, 1)], columns=["y"], ids=["a", "b"])
    options = Options(horizon=2, scale="fixed", hidden=2)
    with pytest.raises(DataError, match="the series has 1 step, all held out, and --scale fixed takes"):
        prepare(read(source, options), None, options)


def test_a_series_without_a_known_target_is_named() -> None:
    values = [RANDOM.standard_normal((50, 1)), np.full((50, 1), np.nan)]
    options = Options(horizon=2, lookback=6, segment=1, season=0, hidden=2, missing="mask")
    made = prepare(read(from_arrays(values, columns=["y"], ids=["a", "b"]), options), None, options)
    assert made.provenance["not_learnt_from"] == [{"series": "b", "reason": "has no known target"}]


def test_held_out_forecasts_that_nothing_judges_are_counted() -> None:
    steps = np.r_[RANDOM.standard_normal(60), np.ones(12), RANDOM.standard_normal(8)]
    source = from_arrays([steps[:, None]], columns=["y"])
    options = Options(horizon=2, lookback=6, segment=1, season=0, hidden=2, spread="window", hold_out=0.25)
    made = prepare(read(source, options), None, options)
    assert (made.provenance["rows"]["held_out"], made.provenance["judging_nothing"]) == (19, 7)

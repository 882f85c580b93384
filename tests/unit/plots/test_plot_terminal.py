"""Text plots: which character is in which row and column."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import DataError, OptionError
from tidegate.plots.axis import format_numbers, make_axis
from tidegate.plots.terminal import plot_forecast

Floats = np.ndarray[Any, Any]
LEVELS = [0.1, 0.5, 0.9]
nan = math.nan


def column(*values: float) -> Floats:
    return np.array(values, np.float64)[:, None]


def ahead(*steps: tuple[float, ...]) -> Floats:
    """Make the quantiles of one target from those of each step: [horizon, 1, quantiles]."""
    return np.array(steps, np.float64)[:, None, :]


def body(chart: str) -> list[str]:
    """Return the lines between legend and step axis, without the value axis."""
    return [re.split(r"[|+│┤]", line, maxsplit=1)[1] for line in chart.splitlines()[1:-2]]


def ascii_chart(history: Floats, quantiles: Floats, height: int = 14) -> str:
    return plot_forecast(history, quantiles, LEVELS, 60, height, unicode=False)


def rows_of(lines: list[str], mark: str) -> set[int]:
    return {i for i, line in enumerate(lines) if mark in line}


# --- what is drawn where


def test_history_lies_left_of_now_and_the_forecast_right_of_it() -> None:
    chart = ascii_chart(np.zeros((24, 1)), ahead(*[(8, 10, 12)] * 8))
    lines = body(chart)
    now = {line.index("|") for line in lines if "|" in line}
    assert len(now) == 1
    (at,) = now
    assert all(line.rfind("*") <= at for line in lines)
    assert all("o" not in line[:at] and "." not in line[:at] for line in lines)
    foot, said = (line[-len(lines[0]) :] for line in chart.splitlines()[-2:])
    assert chart.splitlines()[-1].index("now") + 1 == at + chart.splitlines()[1].index("|") + 1
    assert "+8" in said
    assert foot.count("+") >= 3


def test_the_median_stands_in_its_row_between_its_band() -> None:
    lines = body(ascii_chart(np.zeros((24, 1)), ahead(*[(4, 8, 12)] * 8), height=16))
    last = [line.ljust(60)[max(map(len, lines)) - 1] for line in lines]
    assert last.count("o") == 1
    middle = last.index("o")
    shaded = [i for i, mark in enumerate(last) if mark == "."]
    # 0 to 12 over 13 rows: 12 in the first, 8 in the fifth, 4 in the ninth
    assert middle == 4
    assert shaded == [0, 1, 2, 3, 5, 6, 7, 8]
    assert rows_of(lines, "*") == {12}


def test_a_wider_interval_covers_more_rows() -> None:
    chart = ascii_chart(np.zeros((24, 1)), ahead(*[(-h, 0.0, h) for h in range(1, 13)]))
    lines = [line.ljust(60) for line in body(chart)]
    start = lines[0].index("|") + 2
    covered = [sum(line[x] in ".o" for line in lines) for x in range(start, max(len(li.rstrip()) for li in lines))]
    assert covered == sorted(covered)
    assert covered[-1] == len(lines) > covered[0]


def test_nested_bands_have_shades_of_their_own() -> None:
    five = [0.05, 0.25, 0.5, 0.75, 0.95]
    chart = plot_forecast(np.zeros((24, 1)), ahead(*[(-8, -4, 0, 4, 8)] * 8), five, 60, 20)
    last = [line[-1] for line in body(chart)]
    assert "".join(last).strip("░") != "".join(last)
    assert re.fullmatch("░+▒+[⠀-⣿]▒+░+", "".join(last))
    assert "░ 0.05 to 0.95, ▒ 0.25 to 0.75" in chart.splitlines()[0]


def test_a_line_in_braille_is_finer_than_a_row() -> None:
    rising = np.linspace(0, 1, 24)[:, None]
    chart = plot_forecast(rising, ahead((1.0, 1.0, 1.0)), LEVELS, 60, 9)
    assert len({c for line in body(chart) for c in line if "⠀" < c <= "⣿"}) > 4
    flat = body(plot_forecast(np.zeros((24, 1)), ahead((0, 0, 0)), LEVELS, 60, 9))
    (line,) = [li for li in flat if re.search("[⠁-⣿]", li)]
    assert len(set(line)) == 1
    assert line[0] in "⠉⠒⠤⣀"


def test_a_missing_step_is_a_gap() -> None:
    y = np.zeros((24, 1))
    y[8:14] = nan
    (line,) = [li for li in body(ascii_chart(y, ahead((0, 0, 0)))) if "*" in li]
    before, after = line.split("*  ")[0], line.rsplit("  *")[-1]
    assert set(before) == set(after[:-2]) == {"*"}
    assert line.count(" ") > 10


def test_a_forecast_after_a_missing_origin_starts_at_its_first_step() -> None:
    lines = body(ascii_chart(column(*[0.0] * 23, nan), ahead(*[(4, 5, 6)] * 6)))
    now = lines[0].index("|")
    assert all("o" not in line[: now + 2] for line in lines)
    assert rows_of(lines, "o")


def test_only_the_latest_steps_are_shown() -> None:
    y = np.zeros((500, 1))
    y[:400] = 1e6
    chart = plot_forecast(y, ahead(*[(1, 2, 3)] * 40), LEVELS)
    assert "-79" in chart.splitlines()[-1]
    assert "1e+06" not in chart


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize(
    ("history", "steps"),
    [
        (column(42.0), [(42.0, 42.0, 42.0)]),
        (column(3.0), [(1.0, 2.0, 4.0)]),
        (column(*[0.0] * 30), [(0.0, 0.0, 0.0)] * 48),
        (np.zeros((0, 1)), [(1.0, 2.0, 3.0)]),
        (np.zeros((0, 1)), [(1.0, 2.0, 3.0)] * 5),
        (column(nan, nan), [(1.0, 2.0, 3.0)]),
        (column(-1e300, 1e300), [(0.0, 0.0, 0.0)]),
        (column(1e-310, 0.0), [(0.0, 0.0, 0.0)]),
        (column(1e9, 1e9 + 1e-3), [(1e9, 1e9, 1e9)]),
    ],
)
def test_every_odd_series_has_a_chart(history: Floats, steps: list[tuple[float, ...]], unicode: bool) -> None:
    lines = plot_forecast(history, ahead(*steps), LEVELS, 50, 10, unicode).splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= 50
    assert f"+{len(steps)}" in lines[-1]
    drawn = "".join(body("\n".join(lines)))
    assert re.search("[⠁-⣿]" if unicode else "o", drawn) or (not unicode and "*" in drawn)


@settings(max_examples=80, deadline=None)
@given(
    steps=st.integers(0, 90),
    horizon=st.integers(1, 200),
    width=st.integers(40, 130),
    height=st.integers(8, 30),
    unicode=st.booleans(),
    seed=st.integers(0, 999),
    power=st.integers(-12, 12),
)
def test_a_chart_keeps_its_size(
    steps: int, horizon: int, width: int, height: int, unicode: bool, seed: int, power: int
) -> None:
    random = np.random.default_rng(seed)
    y = random.normal(size=(steps, 1)) * 10.0**power
    y[random.random((steps, 1)) < 0.2] = nan
    q = np.sort(random.normal(size=(horizon, 1, 5)) * 10.0**power)
    chart = plot_forecast(y, q, [0.05, 0.1, 0.5, 0.9, 0.95], width, height, unicode, names=["señal"])
    lines = chart.splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert unicode or chart.isascii()


# --- names and many targets


def test_four_charts_and_a_word_about_the_rest() -> None:
    chart = plot_forecast(np.zeros((30, 7)), np.zeros((5, 7, 3)), LEVELS, height=9, names=list("abcdefg"))
    parts = chart.split("\n\n")
    assert [p.split(":")[0] for p in parts[:-1]] == ["a", "b", "c", "d"]
    assert parts[-1] == "3 of 7 targets are not shown"
    assert "not shown" not in plot_forecast(np.zeros((30, 4)), np.zeros((5, 4, 3)), LEVELS)


def test_a_long_or_hostile_name_breaks_nothing() -> None:
    for name in ("温度" * 40, "x" * 200, "a\nb\x1b[31m"):
        for unicode in (True, False):
            chart = plot_forecast(np.zeros((9, 1)), ahead((0, 0, 0)), LEVELS, 40, 8, unicode, names=[name])
            wide = [sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in li) for li in chart.splitlines()]
            assert max(wide) <= 40
            assert len(wide) == 8
            assert "\x1b" not in chart


def test_two_targets_without_names_are_numbered() -> None:
    assert plot_forecast(np.zeros((9, 2)), np.zeros((1, 2, 3)), LEVELS).startswith("target 1: ")


# --- the axis


@settings(max_examples=200, deadline=None)
@given(
    low=st.floats(-1e12, 1e12, allow_nan=False),
    span=st.floats(0, 1e12, allow_nan=False),
    most=st.sampled_from([3, 4, 5]),
)
def test_marks_are_few_round_and_tell_values_apart(low: float, span: float, most: int) -> None:
    found = make_axis(low, low + span, most)
    assert 3 <= len(found.ticks) <= most
    assert found.low <= low
    assert low + span <= found.high
    room = 1e-6 * (found.high - found.low)
    assert all(found.low - room <= m <= found.high + room for m in found.ticks)
    assert len(set(format_numbers(found.ticks))) == len(found.ticks)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 1, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (17_400, 36_500, ["20,000", "25,000", "30,000", "35,000"]),
        (-0.03, 0.031, ["-0.02", "0.00", "0.02"]),
        (5, 5, ["4.6", "4.8", "5.0", "5.2", "5.4"]),
        (0, 0, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        (0, 4e7, ["0", "1e+07", "2e+07", "3e+07", "4e+07"]),
    ],
)
def test_marks_of_a_range(low: float, high: float, texts: list[str]) -> None:
    assert format_numbers(make_axis(low, high).ticks) == texts


# --- what is refused


@pytest.mark.parametrize(("width", "height"), [(39, 16), (80, 7)])
def test_a_chart_too_small_to_read_is_refused(width: int, height: int) -> None:
    with pytest.raises(OptionError, match=f"a chart of {width} x {height} is too small; it needs at least 40 x 8"):
        plot_forecast(np.zeros((9, 1)), ahead((0, 0, 0)), LEVELS, width, height)


@pytest.mark.parametrize(
    ("history", "quantiles", "message"),
    [
        (
            column(1.0),
            ahead((1, nan, 3)),
            "the forecast of target 1 at step 1 is not a finite number; there is nothing to plot",
        ),
        (column(math.inf), ahead((1, 2, 3)), "the history contains an infinite value; mark it as missing"),
        (column(1.0), ahead((1, 2)), r"history has shape \[1, 1\] and forecast \[1, 1, 2\] with 3 quantiles; expected"),
        (np.zeros(4), ahead((1, 2, 3)), r"history has shape \[4\]"),
        (np.zeros((4, 2)), ahead((1, 2, 3)), r"history has shape \[4, 2\]"),
        (column(1.0), np.zeros((0, 1, 3)), r"forecast \[0, 1, 3\]"),
        (column(2e300), ahead((1, 2, 3)), r"values from 1 to 2e\+300 are too large to plot; scale them"),
    ],
)
def test_what_cannot_be_drawn_is_refused(history: Floats, quantiles: Floats, message: str) -> None:
    with pytest.raises(DataError, match=message):
        plot_forecast(history, quantiles, LEVELS)


@pytest.mark.parametrize("quantiles", [[0.1, 0.4, 0.9], [0.9, 0.5, 0.1]])
def test_quantiles_ascend_and_have_a_median(quantiles: list[float]) -> None:
    with pytest.raises(DataError, match="they must be in ascending order and include 0.5"):
        plot_forecast(column(1.0), ahead((1, 2, 3)), quantiles)


def test_names_are_one_for_each_target() -> None:
    with pytest.raises(DataError, match="there are 2 names for 1 targets; give one name for each target"):
        plot_forecast(column(1.0), ahead((1, 2, 3)), LEVELS, names=["a", "b"])

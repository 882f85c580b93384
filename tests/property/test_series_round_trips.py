"""Series written as long tables, wide tables and archives come back: every value, in order, missing ones missing."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.data.series import from_arrays, read_series
from tidegate.errors import DataError

numbers = st.one_of(st.floats(allow_infinity=False), st.integers(-(2**53), 2**53).map(float))
steps = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.lists(st.lists(numbers, min_size=width, max_size=width), min_size=1, max_size=5), min_size=1, max_size=4
    )
)
gaps = st.sampled_from(["", "nan", "NaN", "NA"])
anything = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def arrays(series):
    return [np.array(one, np.float64) for one in series]


def assert_same(found, series):
    assert len(found) == len(series)
    for one, values in zip(found.series, arrays(series), strict=True):
        np.testing.assert_array_equal(one.values, values)


def rows_in_any_order(series, random):
    """Return (series, step) of every row: the series mixed, the steps of each in order."""
    left = [i for i, one in enumerate(series) for _ in one]
    random.shuffle(left)
    seen = [0] * len(series)
    for i in left:
        yield i, seen[i]
        seen[i] += 1


@anything
@given(steps, gaps, st.randoms(use_true_random=False))
def test_long_tables_come_back(tmp_path, series, gap, random):
    rows = list(rows_in_any_order(series, random))
    file = io.StringIO(newline="")
    names = [f"c{c}" for c in range(len(series[0][0]))]
    cells = [[gap if v != v else repr(v) for v in series[i][t]] for i, t in rows]
    csv.writer(file).writerows([["id", *names], *([f"s{i}", *row] for (i, _), row in zip(rows, cells, strict=True))])
    (tmp_path / "t.csv").write_text(file.getvalue(), newline="")
    found = read_series(tmp_path / "t.csv", id="id")
    order = list(dict.fromkeys(i for i, _ in rows))
    assert [one.id for one in found.series] == [f"s{i}" for i in order]
    assert_same(found, [series[i] for i in order])
    for one, i in zip(found.series, order, strict=True):
        assert [rows[line - 2] for line in one.lines] == [(i, t) for t in range(len(series[i]))]


@anything
@given(steps)
def test_json_lines_come_back(tmp_path, series):
    rows = [
        {"id": i, **{f"c{c}": None if v != v else v for c, v in enumerate(step)}}
        for i, s in enumerate(series)
        for step in s
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert_same(read_series(tmp_path / "t.jsonl", id="id"), series)


@anything
@given(st.lists(st.tuples(st.lists(numbers, max_size=5), st.floats(-1e9, 1e9)), min_size=1, max_size=5), gaps)
def test_wide_tables_come_back(tmp_path, rows, gap):
    series = [[*values, last] for values, last in rows]  # its last value is there: the series ends with it
    width = max(map(len, series))
    cells = [[gap if v != v else repr(v) for v in one] + [""] * (width - len(one)) for one in series]
    text = "\n".join(
        ",".join(row) for row in [["k", *(f"v{c}" for c in range(width))], *(["a", *row] for row in cells)]
    )
    (tmp_path / "t.csv").write_text(text)
    assert_same(read_series(tmp_path / "t.csv", label="k", layout="rows"), [[[v] for v in one] for one in series])


@anything
@given(steps)
def test_archives_and_arrays_come_back(tmp_path, series):
    numpy_arrays = arrays(series)
    np.savez(tmp_path / "t.npz", x=np.concatenate(numpy_arrays), lengths=[len(one) for one in numpy_arrays])
    assert_same(read_series(tmp_path / "t.npz"), series)
    assert_same(from_arrays(numpy_arrays), series)


@anything
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_a_changed_archive_gives_series_or_one_clear_error(tmp_path, changes, packed):
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(
        file, x=np.arange(12.0).reshape(2, 3, 2), y=["a", "b"], time=[1, 2, 3]
    )
    data = bytearray(file.getvalue())
    for place, byte in changes:
        data[place % len(data)] = byte
    (tmp_path / "t.npz").write_bytes(data)
    with suppress(DataError):
        assert read_series(tmp_path / "t.npz", label="y").series[0].values.ndim == 2

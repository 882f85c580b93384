"""Series from arrays in memory and from NPZ archives."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.data.series import from_arrays, read_series
from tidegate.errors import DataError, OptionError

NAN = float("nan")
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def npz(tmp_path, monkeypatch):
    """Return a function that saves arrays as t.npz in the test's folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)

    def save(**arrays):
        np.savez(tmp_path / "t.npz", **{name: np.asarray(array) for name, array in arrays.items()})
        return "t.npz"

    return save


def refusal(*args, kind=DataError, **arguments):
    with pytest.raises(kind) as caught:
        read_series(*args, **arguments)
    return str(caught.value)


# ---- arrays


def test_arrays_of_every_shape():
    assert [one.values.tolist() for one in from_arrays(X).series] == X.tolist()
    assert [one.values[:, 0].tolist() for one in from_arrays(X[:, :, 0]).series] == X[:, :, 0].tolist()
    assert [one.values[:, 0].tolist() for one in from_arrays(np.array([1, 2])).series] == [[1, 2]]
    found = from_arrays([X[0], X[1][:2]], labels=[1, 2], columns=list("abcd"), ids=["p", "q"])
    assert [one.values.tolist() for one in found.series] == [X[0].tolist(), X[1][:2].tolist()]
    assert [(one.id, one.label) for one in found.series] == [("p", "1"), ("q", "2")]
    assert found.columns == list("abcd")
    assert found.locate(1, 1) == "arrays, series 2, step 2"
    assert from_arrays(np.ones(3)).locate(0, 2) == "arrays, step 3"
    assert from_arrays([np.ones(3), np.ones(2)]).columns == ["value"]
    assert [one.label for one in from_arrays(X, labels=np.array([True, False])).series] == ["true", "false"]


def test_arrays_are_copied():
    x = X.astype(np.float64)
    found = from_arrays(x)
    x[:] = 7
    assert found.series[0].values.tolist() == X[0].tolist()


def test_the_sum_knows_dtype_shape_numbers_and_labels():
    sums = {
        from_arrays(x, labels=labels).sha256
        for x, labels in [
            (X, None),
            (X.astype(np.float64), None),
            (X.reshape(2, 4, 3), None),
            (X + 1, None),
            (X, ["a", "b"]),
            (X, ["b", "a"]),
        ]
    }
    assert len(sums) == 6
    assert from_arrays(X).sha256 == from_arrays(list(X)).sha256 == from_arrays(np.asfortranarray(X)).sha256


def test_read_series_takes_arrays_and_collections():
    assert len(read_series(X)) == 2
    assert read_series(X[0]).describe() == "arrays, 3 series of 4 steps, 1 channel"
    assert read_series(X[0], layout="steps").describe() == "arrays, 1 series of 3 steps, 4 channels"
    made = from_arrays(X, labels=["a", "b"])
    assert read_series(made) is made
    chosen = read_series(made, values=["c4", "c1"], label="any")
    assert chosen.columns == ["c4", "c1"]
    assert chosen.series[1].values.tolist() == X[1][:, [3, 0]].tolist()
    assert chosen.series[1].label == "b"


GIVE = "use from_arrays(x, labels=..., columns=..., ids=..., groups=...)"


def test_arguments_that_arrays_have_no_columns_for():
    assert refusal(X, label="y", kind=OptionError) == f"label is the column 'y', but an array has no columns; {GIVE}"
    message = f"time is the column 't', but a collection of series has no columns; {GIVE}"
    assert refusal(from_arrays(X), time="t", kind=OptionError) == message
    assert (
        refusal(from_arrays(X), label="y")
        == "arrays: its series have no labels; add them with from_arrays(x, labels=...)"
    )
    message = "arrays: no column 'c5'; the source has 'c1', 'c2', 'c3', 'c4'"
    assert refusal(X, values=["c5"]) == message


BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("x", "more", "message"),
    [
        (
            np.zeros((1, 2, 3, 4)),
            {},
            "the array has the shape [1, 2, 3, 4]; expected [series, steps, channels] or [series, steps]; reshape it",
        ),
        (
            [np.zeros((2, 3, 4))],
            {},
            "arrays has the shape [2, 3, 4]; expected [steps, channels] or [steps]; reshape it",
        ),
        (
            [],
            {},
            "there are no series; expected [series, steps, channels] or [series, steps], with one series or more",
        ),
        ([np.zeros(2), np.zeros(0)], {}, "arrays, series 2 has the shape [0] and so no values; leave it out"),
        (
            [np.zeros((2, 3)), np.zeros((2, 4))],
            {},
            "arrays, series 2 has 4 channels, but the first has 3; give all series the same channels",
        ),
        (np.array([[True]]), {}, "the array holds bool; expected integers or floating-point numbers; convert it"),
        ([["a"]], {}, "arrays, series 1 holds <U1; expected integers or floating-point numbers; convert it"),
        (np.array([[None]]), {}, "the array holds object; expected integers or floating-point numbers; convert it"),
        (np.array([[1j]]), {}, "the array holds complex128; expected integers or floating-point numbers; convert it"),
        (
            [[[1], [2, 3]]],
            {},
            "arrays, series 1 is not an array, because its rows differ in length; give every step the same channels",
        ),
        (np.ma.masked_equal([[1.0, 2.0]], 2), {}, "the array is masked; fill it, for example with x.filled(numpy.nan)"),
        (np.array([[1, BIG]]), {}, "arrays holds int64 values that float64 cannot represent; convert it"),
        (
            np.array([[0.0, 1.0], [2.0, -np.inf]]),
            {},
            "arrays, series 2, step 2: channel 'value' is -inf; expected a finite number, or NaN if it is unknown",
        ),
        (X, {"labels": ["a"]}, "arrays: found 1 labels for 2 series; give each series one"),
        (
            X,
            {"labels": ["a", None]},
            "arrays, series 2: no value in column 'label' (None); fill it or leave the row out",
        ),
        (X, {"labels": ["a", ""]}, "arrays, series 2: the label is empty; give it a name"),
        (
            X,
            {"labels": [1.5, 2.0]},
            "arrays, series 1: the label is 1.5; expected text, integers or booleans; convert it",
        ),
        (X, {"ids": ["a", "a"]}, "arrays: series 1 and 2 both have the id 'a'; rename one"),
        (X, {"columns": ["a"]}, "arrays: the columns are 'a'; expected one name for each of the 4 channels"),
        (X, {"columns": list("abca")}, "arrays: columns 1 and 4 are both 'a'; rename one"),
        (
            "train.csv",
            {},
            "found a str; expected a NumPy array [series, steps, channels] or [series, steps], or a list of arrays",
        ),
    ],
)
def test_arrays_that_are_refused(x, more, message):
    with pytest.raises(DataError) as caught:
        from_arrays(x, **more)
    assert str(caught.value) == message


def test_a_large_integer_that_float64_holds_is_taken():
    assert from_arrays(np.array([[2**60, -(2**62)]])).series[0].values.tolist() == [[2.0**60], [-(2.0**62)]]


# ---- archives


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f8", np.int8, np.uint16])
def test_an_archive_of_equal_series(npz, dtype):
    x = np.asfortranarray(X.astype(dtype))
    found = read_series(npz(x=x, y=["a", "b"], ids=[5, 6], columns=list("pqrs")), label="y")
    assert [one.values.tolist() for one in found.series] == X.tolist()
    assert [(one.id, one.label) for one in found.series] == [("5", "a"), ("6", "b")]
    assert found.columns == list("pqrs")
    assert found.describe() == "NPZ, labels 'y', 2 series of 3 steps, 4 channels"
    assert found.locate(1, 2) == "t.npz, series 2, step 3"


def test_an_archive_with_lengths(npz):
    found = read_series(npz(x=X.reshape(6, 4), lengths=[1, 5], time=[3, 1, 2, 3, 4, 9]))
    assert [one.values.tolist() for one in found.series] == [X.reshape(6, 4)[:1].tolist(), X.reshape(6, 4)[1:].tolist()]
    assert [one.times for one in found.series] == [None, None]
    assert read_series(npz(x=np.arange(3.0), lengths=[1, 2])).series[1].values.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("beside", "arguments", "count"),
    [
        ({}, {}, 1),
        ({}, {"layout": "rows"}, 3),
        ({"y": [0, 1, 0]}, {}, 1),
        ({"y": [0, 1, 0]}, {"label": "y"}, 3),
        ({"y": [0, 1, 0]}, {"label": "label"}, 3),
        ({"y": [0, 1, 0], "label": ["p", "q", "r"]}, {"label": "label"}, 3),
        ({"ids": ["a", "b", "c"]}, {}, 3),
        ({"names": ["a", "b", "c"]}, {"id": "names"}, 3),
        ({"y": [1]}, {"label": "y", "layout": "steps"}, 1),
    ],
)
def test_what_two_axes_are(npz, beside, arguments, count):
    found = read_series(npz(x=X[0].T[:3], **beside), **arguments)
    assert len(found) == count
    if "label" in beside:
        assert [one.label for one in found.series] == ["p", "q", "r"]


def test_times_of_an_archive(npz):
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-05"], "datetime64[D]")
    shared = read_series(npz(x=X, time=days))
    assert [one.times.astype("datetime64[D]").tolist() for one in shared.series] == [days.tolist()] * 2
    apart = read_series(npz(x=X, at=np.stack([days, days + 1])), time="at")
    assert apart.series[1].times.astype("datetime64[D]").tolist() == (days + 1).tolist()
    text = read_series(npz(x=X[0], time=["2020-01-01T00Z", "2020-01-01T01Z", "2020-01-01T02Z"]))
    assert str(text.series[0].times[2]) == "2020-01-01T02:00:00.000000"


@pytest.mark.parametrize(
    ("arrays", "arguments", "message"),
    [
        ({"a": X}, {}, "t.npz: no array 'x'; the archive has 'a'; save the numbers as x"),
        ({"x": X}, {"label": "label"}, "t.npz: no array 'y'; the archive has 'x'; name one of them, or add the array"),
        (
            {"x": X, "y": [1.0, 2.0]},
            {"label": "y"},
            "t.npz, series 1: the label is 1.0; expected text, integers or booleans; convert it",
        ),
        (
            {"x": np.array([None])},
            {},
            "t.npz: array 'x' holds Python objects, which need pickle, and pickle can run code; save numbers or text",
        ),
        ({"x": ["a"]}, {}, "t.npz: array 'x' holds <U1; expected integers or floating-point numbers; convert it"),
        ({"x": [1j]}, {}, "t.npz: array 'x' holds <c16; expected numbers, booleans, text or dates; convert it"),
        (
            {"x": X[None]},
            {},
            "t.npz: array 'x' has the shape [1, 2, 3, 4]; expected [series, steps, channels], [series, steps], "
            "[steps, channels] or [steps], none of them 0; reshape it",
        ),
        (
            {"x": X[0], "lengths": [1, 3]},
            {},
            "t.npz: 'lengths' has the minimum 1 and the sum 4; expected positive lengths with the sum 3, the "
            "number of steps in 'x'; "
            "correct it",
        ),
        (
            {"x": X[0], "lengths": [4, -1]},
            {},
            "t.npz: 'lengths' has the minimum -1 and the sum 3; expected positive lengths with the sum 3, "
            "the number of steps in 'x'; "
            "correct it",
        ),
        (
            {"x": X, "lengths": [2]},
            {},
            "t.npz: found 'x' [2, 3, 4] and 'lengths' int64 [1]; expected [all steps, channels] and integers [series]; "
            "reshape them",
        ),
        ({"x": X, "y": [1]}, {"label": "y"}, "t.npz: found 1 labels for 2 series; give each series one"),
        (
            {"x": X, "y": [[1], [2]]},
            {"label": "y"},
            "t.npz: array 'y' has the shape [2, 1]; expected one value per series; reshape it",
        ),
        (
            {"x": X, "columns": [1, 2, 3, 4]},
            {},
            "t.npz: array 'columns' is int64 [4]; expected the names of the channels as text; convert it",
        ),
        ({"x": X, "time": [1, 2]}, {}, "t.npz: array 'time' has the shape [2]; expected one time per step; reshape it"),
        (
            {"x": X, "time": [1, 2, 2]},
            {},
            "t.npz, series 1, step 3: column 'time' is 2, the same time as 2 (t.npz, series 1, step 2); expected "
            "each time once in a series; remove one, or set id to the column that identifies the series",
        ),
        (
            {"x": X[0], "time": np.array([1, 2, 3], "datetime64[ns]")},
            {},
            "t.npz: array 'time' has times finer than a microsecond; round the times",
        ),
        (
            {"x": X[0], "time": np.array([2020, 2021, 30000], "datetime64[Y]")},
            {},
            "t.npz: array 'time' has times outside of the years 1 to 9999; correct them",
        ),
        (
            {"x": X[0], "time": np.array(["2020", "NaT", "2022"], "datetime64[Y]")},
            {},
            "t.npz, step 2: no time in column 'time'; fill it in, or remove the row",
        ),
        (
            {"x": np.array([[1, np.inf]])},
            {},
            "t.npz, step 1: channel 'c2' is inf; expected a finite number, or NaN if it is unknown",
        ),
    ],
)
def test_archives_that_are_refused(npz, arrays, arguments, message):
    assert refusal(npz(**arrays), **arguments) == message


def test_times_of_100_nanoseconds_are_read_where_they_are_exact(tmp_path):
    times = np.array(["2024-01-01T00:00:00.000001", "2024-01-02"], "M8[100ns]")
    np.savez(tmp_path / "t.npz", x=np.zeros((2, 1)), time=times)
    assert (read_series(tmp_path / "t.npz").series[0].times == times).all()
    np.savez(tmp_path / "t.npz", x=np.zeros((2, 1)), time=times + 1)
    with pytest.raises(DataError, match="array 'time' has times finer than a microsecond; round the times"):
        read_series(tmp_path / "t.npz")

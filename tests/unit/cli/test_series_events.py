"""Events of series in `stream`, and what `info` and `verify` print about models of series."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.cli import main
from tidegate.cli.stream import Streams
from tidegate.errors import DataError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.runtime import Predictor
from tidegate.verify.samples import sample, series_sample

STATIONS = SeriesTransform(
    ("level", "rain"),
    ("target", "past"),
    (),
    "ffill",
    ("north", "7"),
    np.zeros((2, 2)),
    np.ones((2, 2)),
    forecast=ForecastSpec(2, (0.1, 0.5, 0.9)),
)
TIMED = replace(
    STATIONS, names=None, mean=np.zeros((1, 2)), deviation=np.ones((1, 2)), calendar=("day",), window=Window(2, 1, 1)
)


def answers(transform: SeriesTransform, *events: dict[str, Any]) -> list[dict[str, Any]]:
    streams = Streams(Predictor(series_sample(transform, size=4), threads=1), False)
    return [streams.handle(json.dumps(event).encode()) for event in events]


def test_a_forecast_of_each_event() -> None:
    first, second, last = answers(
        STATIONS,
        {"stream": "north", "x": [1, None], "seq": 3},
        {"stream": "north", "x": [[None, 2], [3, 4]]},
        {"stream": "north", "end": True},
    )
    assert first == {"stream": "north", "seq": 3, "forecast": None, "reason": "no step yet"}
    stream = Predictor(series_sample(STATIONS, size=4), threads=1).stream("north")
    stream.push([1, None])
    expected = stream.push([[None, 2], [3, 4]]).as_dict()
    assert second == {"stream": "north", **expected}
    assert last == {"stream": "north", **expected, "final": True}
    assert list(second["quantiles"]) == ["0.1", "0.5", "0.9"]
    assert second["forecast"] == second["quantiles"]["0.5"]


def test_a_streams_id_names_its_series_unless_the_event_does() -> None:
    found = answers(
        STATIONS,
        {"stream": "north", "x": [1, 2]},
        {"stream": "a", "series": "north", "x": [1, 2]},
        {"stream": "a", "x": [1, 2]},
        {"stream": 7, "x": [1, 2], "end": True},
        {"stream": "a", "end": True},
        {"stream": "a", "series": "7", "x": [1, 2]},
    )
    assert found[0]["forecast"] == found[1]["forecast"]
    assert found[4]["final"]
    with pytest.raises(DataError, match="the series 'a' was not in training"):
        answers(STATIONS, {"stream": "a", "x": [1, 2]})
    with pytest.raises(DataError, match="'series' is '7', but this stream is of 'north'; end it first"):
        answers(STATIONS, {"stream": "north", "x": [1, 2]}, {"stream": "north", "series": "7", "x": [1, 2]})
    with pytest.raises(DataError, match="the series 'a' is named, and this model treats all alike"):
        answers(TIMED, {"stream": 1, "series": "a", "x": [1, 2], "time": "2026-01-01"})


def test_times_go_with_events() -> None:
    times = ["2026-01-01T00:00Z", "2026-01-01T02:00+01:00", "2026-01-01T02:00Z"]
    found = answers(
        TIMED,
        {"stream": 1, "x": [1, 2], "time": times[0]},
        {"stream": 1, "x": [[1, 2], [3, 4]], "time": times[1:]},
        {"stream": 2, "x": [[1, 2], [1, 2], [3, 4]], "time": times},
    )
    assert found[0]["reason"] == "warming up 1 of 3"
    assert found[1]["forecast"] == found[2]["forecast"] is not None
    for event, message in (
        ({"x": [1, 2]}, r"this model uses the calendar \(day\); give the time of each step"),
        ({"x": [1, 2], "time": 5}, "'time' is 5; expected text, or a list of it"),
        ({"x": [1, 2], "time": "noon"}, "'noon' is not a time"),
        (
            {"x": [[1, 2], [1, 2]], "time": ["2026-01-01T03:00Z", "2026-01-01T04:00"]},
            "00 has no time zone, and 2026-01-01T03",
        ),
        ({"text": "a"}, "the event has 'text', but this model takes series of numbers; send 'x'"),
        ({"x": None}, "the event has neither 'x' nor 'end'"),
    ):
        with pytest.raises(DataError, match=message):
            answers(TIMED, {"stream": 1, **event})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"stream": 1, "x": [true, 2]}', "'x' contains true or false; expected numbers"),
        ('{"stream": 1, "x": [[1, 2], [1, false]]}', "'x' contains true or false"),
        ('{"stream": 1, "x": [1, ' + "9" * 5000 + "]}", "an integer has too many digits"),
        (
            '{"stream": "\\ud800", "x": [1, 2]}',
            r"'stream' is '\\ud800', which contains half a surrogate",
        ),
        ('{"stream": 1, "end": true, "time": "2026-01-01"}', "the event has 'time' without 'x'"),
        ('{"stream": 1, "x": [1, 2], "time": "2026-01-01T00:00:00.0000001"}', "finer than a microsecond; round"),
    ],
)
def test_what_would_be_answered_wrongly_or_not_at_all(line: str, message: str) -> None:
    streams = Streams(Predictor(series_sample(TIMED, size=4), threads=1), False)
    with pytest.raises(DataError, match=message):
        streams.handle(line.encode())
    assert not len(streams.pool)


@pytest.mark.parametrize("missing", ["error", "drop", "ffill", "mask"])
@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_an_answer_that_is_no_number_is_null(missing: str, head: str) -> None:
    """Both numbers fit into float32, but their scaled values do not, and infinity minus infinity is NaN."""
    transform = replace(
        STATIONS,
        names=None,
        mean=np.zeros((1, 2)),
        deviation=np.full((1, 2), 1e-3),
        missing=missing,
        forecast=ForecastSpec(3, (0.1, 0.5, 0.9), head),
    )
    found = answers(
        transform,
        {"stream": 1, "x": [[3e38, 3e38], [-3e38, 3e38]]},
        {"stream": 1, "x": [1, 2]},
        {"stream": 1, "end": True},
        {"stream": 1, "x": [1, 2]},
    )
    for one in found[:3]:
        assert one["forecast"] is None
        assert one["reason"].startswith("the result is not a finite number")
        json.dumps(one, allow_nan=False)
    assert found[3]["forecast"]


def test_scores_that_are_no_numbers_are_null() -> None:
    streams = Streams(Predictor(sample(features=2, size=4)), True)
    assert streams.handle(b'{"stream": 1, "x": [3e38, -3e38]}')["score"] is not None
    said = streams.handle(b'{"stream": 1, "x": [1e999, -1e999]}')
    assert (said["label"], said["score"]) == (None, None)
    assert said["reason"].startswith("the result is not a finite number")


def test_times_and_names_are_of_series_alone() -> None:
    streams = Streams(Predictor(sample(features=2, size=4)), False)
    for key, value in (("time", "2026-01-01"), ("series", "a")):
        with pytest.raises(DataError, match=f"the event has '{key}', but this model takes numbers; leave it out"):
            streams.handle(json.dumps({"stream": 1, "x": [1, 2], key: value}).encode())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, found = tmp_path_factory.mktemp("models"), {}
    sensors = SeriesTransform(
        ("x", "y"), ("past", "past"), missing="drop", window=Window(4, 2, centre="mean", spread="window")
    )
    for name, transform in {"stations": STATIONS, "timed": TIMED, "sensors": sensors}.items():
        series_sample(transform, size=4, check=True).save(found.setdefault(name, folder / f"{name}.safetensors"))
    return found


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "stations",
            (
                "2 columns: level (target), rain (past)",
                "filled with the last value seen",
                "standardised by the mean and deviation of each series in training (2 series: north, 7)",
                "2 steps ahead of level, all at once; quantiles 0.1, 0.5, 0.9",
                "48 bytes per stream (24 for the layers, 24 for the input)",
            ),
        ),
        (
            "timed",
            (
                "the time of each step within the day",
                "the last 2 steps, minus the values 1 step before, minus their last",
                "bytes per stream (24 for the layers, 128 for the input)",
            ),
        ),
        (
            "sensors",
            (
                "2 columns: x, y",
                "steps with one are dropped",
                "minus their mean, divided by their own deviation: 2 rows of 4",
            ),
        ),
    ],
)
def test_info_says_what_goes_in_and_out(
    files: dict[str, Path], name: str, lines: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(files[name])]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for line in lines:
        assert line in said
    assert main(["info", "--json", str(files[name])]) == 0
    assert json.loads(capsys.readouterr().out)["memory_bytes"] > 0


def test_an_export_says_what_it_takes_and_gives(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for to, suffix in (("c", ".c"), ("onnx", ".onnx")):
        out = files["timed"].with_suffix(suffix)
        assert main(["export", str(files["timed"]), "--to", to, "--out", str(out), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["takes"].startswith(
            "rows of 4 numbers: each window of 2 steps (minus the values 1 steps earlier), minus its"
        )
        assert said["gives"] == "2 steps ahead x 1 targets x 3 quantiles, in the scaled units of the rows"
        content = out.with_suffix(".h").read_bytes() if to == "c" else out.read_bytes()
        assert b"rows of 4 numbers" in content
        assert b"in the scaled units" in content


def test_verify_runs_the_rows_of_a_window(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path in files.values():
        assert main(["verify", str(path), "--json"]) == 0
        capsys.readouterr()


def test_each_step_of_an_event_has_a_result_of_its_own() -> None:
    streams = Streams(Predictor(sample(features=2, size=4)), False, per_step=True)
    result = streams.handle(b'{"stream": 1, "seq": 7, "x": [[1, 2], [3, 4]], "end": true}')
    assert (result["stream"], result["seq"], result["final"], len(result["steps"])) == (1, 7, True, 2)
    assert {key: result[key] for key in ("label", "score")} == result["steps"][-1]
    text = Streams(Predictor(sample(size=4)), False, per_step=True)
    assert text.handle(b'{"stream": 1, "text": "car"}')["steps"] == []
    ended = text.handle(b'{"stream": 1, "end": true}')
    assert (len(ended["steps"]), ended["final"], len(text.pool)) == (1, True, 0)


def test_the_end_of_a_stream_that_never_began_is_answered_and_leaves_nothing() -> None:
    streams = Streams(Predictor(sample(size=4)))
    result = streams.handle(b'{"stream": "ghost", "end": true}')
    assert result == {
        "stream": "ghost",
        "label": None,
        "score": None,
        "reason": "the message has no word",
        "final": True,
    }
    assert list(streams.pool) == []
    with pytest.raises(DataError, match="half of a surrogate pair"):
        streams.handle(b'{"stream": 1, "text": "\\ud800"}')
    assert list(streams.pool) == []

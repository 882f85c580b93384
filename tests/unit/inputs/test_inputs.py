"""Every input keeps its contract, however its data are cut into pieces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate import inputs
from tidegate.errors import DataError, ModelFileError, StateError
from tidegate.features.one_window import OneWindow
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.features.text import Tokenizer, Vocabulary
from tidegate.inputs.base import Input

ONE = np.array([[0.5]]), np.array([[2.0]])
LOAD = SeriesTransform(("load",), ("past",), mean=ONE[0], deviation=ONE[1], missing="drop")
WINDOW = replace(LOAD, window=Window(4, 2, 2, "mean", "window", 3))


def parse_text(kind: str = "word") -> Input:
    data, offsets = Vocabulary.learn({b"tide": 3, b"gate": 2, b"f": 1}).arrays()
    names = {"bytes": "b", "offsets": "o"}
    entry = {"kind": "text", "tokenizer": Tokenizer(kind).to_json(), "vocabulary": names, "size": 4}
    return inputs.parse("x", entry, {"b": data, "o": offsets})


def parse_series(transform: SeriesTransform) -> Input:
    entry, tensors = transform.to_json()
    return inputs.parse("x", entry, tensors)


MADE: dict[str, tuple[Any, Any]] = {
    "text": (parse_text, "tide gates, tide!"),
    "ids": (lambda: inputs.parse("x", {"kind": "ids", "size": 9}, {}), [3, 1, 8]),
    "array": (lambda: inputs.parse("x", {"kind": "array", "features": 2}, {}), [[1.0, 2.0], [3.0, np.nan]]),
    "series": (lambda: parse_series(LOAD), [[1.0], [np.nan], [2.0]]),
    "window": (lambda: parse_series(WINDOW), np.arange(9.0)[:, None]),
}


@pytest.mark.parametrize("name", MADE)
def test_an_entry_is_read_and_written(name: str) -> None:
    source = MADE[name][0]()
    assert source.kind in inputs.kinds()
    assert inputs.starts_anew(source.to_json()) == (source.rows is not None)
    made = source.synthesise(iter(range(0, 1 << 60, 1 << 40)), 3)
    assert made.shape == (3,) if source.features is None else (3, source.features)


@pytest.mark.parametrize("name", MADE)
def test_steps_one_by_one_are_those_of_the_whole(name: str) -> None:
    maker, x = MADE[name]
    source = maker().prepare()
    steps, after = source.push(x, source.start(), None, True)
    pieces, last = source.push_each(x, source.start(), None, True)
    assert sum(piece.number for piece, _ in pieces) == steps.number
    assert source.to_bytes(last) == source.to_bytes(after)
    assert source.to_bytes(source.from_bytes(source.to_bytes(after), steps.number)) == source.to_bytes(after)
    if steps.restart is None:
        assert np.concatenate([piece.rows for piece, _ in pieces]).tobytes() == steps.rows.tobytes()
        return
    assert source.rows
    ((rows, lengths, _),) = source.make_rows(steps.restart)
    ((own, counts, _),) = source.make_rows(pieces[-1][0].restart or [])
    assert (rows.tobytes(), lengths.tolist()) == (own.tobytes(), counts.tolist())
    assert [bool(piece.restart) for piece, _ in pieces] == [source.is_ready(t + 1) for t in range(steps.number)]


def test_the_end_of_a_text_completes_its_last_word() -> None:
    source = parse_text().prepare()
    steps, state = source.push("tide ga", source.start())
    assert (steps.rows.tolist(), state) == ([1], b"ga")
    assert source.finish(state)[0].rows.tolist() == [0]
    assert source.push("te", state, None, True)[0].rows.tolist() == [2]
    assert parse_text("char").not_ready_reason(0) == "no step yet"
    assert source.not_ready_reason(0, True) == "the message has no word"


def test_a_window_alone_has_the_bits_of_many() -> None:
    x = np.random.default_rng(0).standard_normal((12, 2)) * 9 + 1e6
    for window in (Window(4, 2, 2, "mean", "window"), Window(6, 1, 0, "last", "training"), Window(4, 4, 5, "mean")):
        for roles in (("target", "past"), ("known", "target")):
            spec = ForecastSpec(3, (0.1, 0.5))
            two = np.array([[1e6, 1e6]]), np.array([[3.0, 9.0]])
            transform = SeriesTransform(("a", "b"), roles, mean=two[0], deviation=two[1], window=window, forecast=spec)
            ends = np.array([window.reach - 1, len(x) - 1])
            rows, scaling = transform.make_windows(x, ends)
            for i, end in enumerate(ends.tolist()):
                own, _, alone = OneWindow(transform).standardise(x[end + 1 - window.reach : end + 1])
                assert own[0].tobytes() == rows[i].tobytes()
                for name in ("centre", "spread", "base"):
                    assert getattr(alone, name).tobytes() == getattr(scaling.select(i), name).tobytes()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "sound"}, "inputs.x.kind: is 'sound'; expected one of array, category, ids, series, text"),
        ({"kind": []}, r"inputs.x.kind: is \[\]; expected one of"),
        ([], r"inputs.x: is \[\]; expected an object"),
        ({"kind": "ids", "size": 0}, "inputs.x.size: is 0; expected an integer of 1 to"),
        ({"kind": "array"}, "inputs.x: the key 'features' is missing"),
        ({"kind": "series", "answer": None}, "inputs.x: the key 'columns' is missing"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(entry: Any, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        inputs.parse("x", entry, {})


def test_what_an_input_does_not_take_is_refused() -> None:
    source = parse_text().prepare()
    for x, message in ((3, "this model takes text"), (b"\xff", "not UTF-8")):
        with pytest.raises(DataError, match=message):
            source.push(x, b"")
    with pytest.raises(DataError, match="this model uses no calendar"):
        source.push("a", b"", "2026-01-01")
    with pytest.raises(DataError, match="there are 2 ids and 1 steps"):
        source.push_many([1], ["a", "b"], lambda id: b"")
    with pytest.raises(StateError, match="the tokenizer would split it"):
        source.from_bytes(b"two words", 1)

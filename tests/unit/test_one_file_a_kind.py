"""A kind of input and a kind of output, each in one file outside the package, work in every part of it."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tidegate import cells, inputs, outputs
from tidegate.cli import main
from tidegate.document import assemble
from tidegate.errors import DataError, ModelFileError
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.runtime import Predictor
from tidegate.verify.check import attach

TESTS = Path(__file__).parents[1]
SIGNS = "... --- ..."
INPUT = {"kind": "morse", "longest": 3}
OUTPUTS = {
    "panic": {"kind": "limit", "at": "step", "part": [0, 1], "limit": 0.0},
    "letters": {"kind": "values", "at": "step", "part": [1, 3], "labels": ["vowel", "consonant"]},
}


@pytest.fixture(autouse=True)
def _rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "__path__", [*inputs.__path__, str(TESTS / "toy_inputs")])
    monkeypatch.setattr(outputs, "__path__", [*outputs.__path__, str(TESTS / "toy_outputs")])


def make_model(names: tuple[str, ...] = ("panic", "letters")) -> Model:
    builder, random = Builder(None), np.random.default_rng(3)
    builder.add("embed", rows=14, size=4)
    builder.recurrence(cells.load("gru"), 4)
    builder.add("dense", size=3, activation="none")
    tensors = {
        layer.tensors[role]: random.standard_normal(shape).astype(np.float32)
        for layer in builder.layers
        for role, shape in layer.shapes().items()
    }
    kept = {name: OUTPUTS[name] for name in names}
    return attach(Model(assemble("listen", {}, {"x": INPUT}, builder.layers, kept, {}), tensors))


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "m.safetensors")
    make_model().save(path)
    return path


def test_the_rooms_find_them_and_check_their_entries() -> None:
    assert "morse" in inputs.kinds()
    assert "limit" in outputs.kinds()
    with pytest.raises(ModelFileError, match=r"inputs.x.longest: is 9; expected an integer of 1 to 8"):
        inputs.parse("x", {"kind": "morse", "longest": 9}, {})
    with pytest.raises(ModelFileError, match=r"outputs.panic: an alarm has one number"):
        outputs.parse("panic", {"kind": "limit", "from": "layers.2", "at": "step", "limit": 1.0}, 3, {})


def test_streams_pools_and_whole_inputs_give_one_answer(file: str) -> None:
    predictor = Predictor(Model.load(file), threads=1)
    (whole,) = predictor.answers([SIGNS])
    assert whole["panic"].as_dict(False) == {"alarm": bool(whole["panic"].values[0] > 0)}
    stream, pool = predictor.stream(), predictor.pool()
    assert stream.push(".").as_dict()["panic"] == {"alarm": None, "reason": "no complete letter yet"}
    pool.push_one("a", ".")
    again = predictor.stream()
    again.restore(stream.state)
    for piece in (".. --", "- ", "..."):
        stream.push(piece)
        again.push(piece)
        pool.push_one("a", piece)
    for last in (stream.end(), again.end(), pool.end("a")):
        assert last.as_dict() == whole.as_dict()
        assert last["panic"].values.tobytes() == whole["panic"].values.tobytes()
    assert pickle.loads(pickle.dumps(whole)).as_dict() == whole.as_dict()
    with pytest.raises(DataError, match="this model takes Morse code"):
        stream.push("sos")


def test_a_single_output_answers_alone() -> None:
    predictor = Predictor(make_model(("panic",)), threads=1)
    assert list(predictor.stream().push("- ").as_dict()) == ["alarm", "level"]


def test_commands_run(file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, Any]] = [
        {"stream": 1, "signs": "... -"},
        {"stream": 1, "signs": "-- ...", "end": True},
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events).encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(lines)))
    assert main(["stream", file]) == 0
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(first) == {"stream", "panic", "letters"}
    (whole,) = Predictor(Model.load(file), threads=1).answers([SIGNS])
    assert last == {"stream": 1, **whole.as_dict(False), "final": True}
    assert main(["info", file]) == 0
    shown = capsys.readouterr().out
    assert "Morse code, letters of up to 3 signs" in shown
    assert "an alarm above 0.0" in shown
    assert main(["verify", file]) == 0
    capsys.readouterr()
    assert main(["predict", file, "--message", SIGNS]) == 2
    assert "this model takes Morse code, but predict needs a model that predicts labels" in capsys.readouterr().err

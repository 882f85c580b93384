"""A model that torch trained, on the command line: it verifies, tells what it is, streams its events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tidegate as package

ARRAY, IDS = "numbers.safetensors", "ids.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("brought")
    package.from_torch(torch.nn.GRU(2, 4), torch.nn.Linear(4, 2)).save(made / ARRAY)
    parts = [torch.nn.Embedding(9, 2), torch.nn.LSTM(2, 4, proj_size=2), torch.nn.Softmax(-1)]
    package.from_torch(*parts, labels=["no", "yes"]).save(made / IDS)
    return made


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def events(*found: dict) -> str:
    return "".join(json.dumps(event) + "\n" for event in found)


def test_numbers_stream_by_the_step_or_several_at_once(tidegate, folder):
    x = [[0.1, 0.2], [1.0, -1.0], [3.0, 4.0]]
    sent = events(
        {"stream": "a", "x": x[0]}, {"stream": "b", "end": True}, {"stream": "a", "x": x[1:], "end": True, "seq": 7}
    )
    done = tidegate("stream", folder / ARRAY, stdin=sent)
    assert done.returncode == 0, done.stderr
    first, empty, last = lines(done.stdout)
    whole = package.load(folder / ARRAY).predict([x])[0]
    assert last == {"stream": "a", "seq": 7, "values": pytest.approx(whole.tolist(), rel=1e-6), "final": True}
    assert empty == {"stream": "b", "values": None, "reason": "the message has no step", "final": True}
    assert len(first["values"]) == 2


def test_ids_stream_with_their_labels(tidegate, folder):
    done = tidegate("stream", folder / IDS, "--all", stdin=events({"stream": 1, "x": 3}, {"stream": 1, "x": [4, 5]}))
    assert done.returncode == 0, done.stderr
    _, last = lines(done.stdout)
    whole = package.load(folder / IDS).predict([[3, 4, 5]])[0]
    assert list(last["scores"].values()) == pytest.approx(whole.tolist(), rel=1e-6)
    assert last["label"] == ["no", "yes"][int(whole.argmax())]


@pytest.mark.parametrize(
    ("file", "event", "sentence"),
    [
        (ARRAY, {"stream": 1, "text": "hi"}, "stdin:1: the event has 'text', but this model takes numbers; send 'x'"),
        (ARRAY, {"stream": 1, "x": ["q", 1]}, "stdin:1: this model takes numbers"),
        (ARRAY, {"stream": 1, "x": [1, 2, 3]}, "stdin:1: shape [3]; expected [2] for one step"),
        (ARRAY, {"stream": 1}, "stdin:1: the event has neither 'x' nor 'end'"),
        (IDS, {"stream": 1, "x": 9}, "stdin:1: there is no token 9; the vocabulary has ids 0 to 8"),
        (IDS, {"stream": 1, "x": [0.5]}, "stdin:1: token ids are integers of shape [n]; float64"),
    ],
)
def test_an_event_that_does_not_fit_is_refused(tidegate, folder, file, event, sentence):
    done = tidegate("stream", folder / file, stdin=events(event))
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.mark.parametrize("command", [("predict", "--message", "hi"), ("score", "rows.csv")])
@pytest.mark.parametrize(("file", "takes"), [(ARRAY, "numbers"), (IDS, "token ids")])
def test_commands_for_texts_say_what_the_model_takes(tidegate, folder, command, file, takes):
    name, *rest = command
    done = tidegate(name, folder / file, *rest)
    assert done.returncode == 2
    assert f"this model takes {takes}, but {name} needs a model that predicts labels" in done.stderr


def test_it_verifies_and_tells_where_it_is_from(tidegate, folder):
    assert tidegate("verify", folder / IDS).returncode == 0
    found = json.loads(tidegate("info", folder / IDS, "--json").stdout)
    assert "lstm 2 -> 4 -> 2, projection yes" in [layer["what"] for layer in found["layers"]]
    told = tidegate("info", folder / IDS).stdout
    assert "lstm 2 -> 4 -> 2" in told
    assert "torch modules" in told

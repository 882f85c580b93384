"""Events of conversations in `stream`, and what `info`, `verify` and `export` say of models with several graphs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from level_models import level_model
from tidegate.cli import main
from tidegate.cli.stream import Streams
from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.runtime import Predictor
from tidegate.verify import attach

EVENTS = [
    {"stream": "a", "text": "what is my "},
    {"stream": "a", "text": "card", "speaker": "ann", "end": True},
    {"stream": "b", "text": "pin", "speaker": "bob", "end": "message"},
    {"stream": "a", "text": "how much", "speaker": "bob", "end": "conversation", "seq": 3},
    {"stream": "b", "text": "", "speaker": "ann"},
    {"stream": "b", "text": "i lost it"},
    {"stream": "b", "end": "conversation"},
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("models") / "chat.safetensors")
    attach(level_model()).save(path)
    return path


@pytest.mark.parametrize("per_step", [False, True])
def test_the_results_of_events_are_the_answers_of_streams(per_step: bool) -> None:
    predictor = Predictor(level_model(), threads=1)
    streams, singles = Streams(predictor, per_step=per_step), {id: predictor.stream() for id in "ab"}
    for event in EVENTS:
        result: dict[str, Any] = streams.handle(json.dumps(event).encode())
        stream, sides = singles[str(event["stream"])], {k: v for k, v in event.items() if k == "speaker"}
        before, end = stream.fork(), event.get("end", False)
        expected = stream.push(event.get("text", ""), end, sides=sides).as_dict(False)
        assert {name: result[name] for name in ("label", "topic")} == expected
        assert result.get("final", False) == bool(end)
        if per_step:
            each = before.push(event.get("text", ""), end, per_step=True, sides=sides)
            assert result["steps"] == [one.as_dict(False) for one in each]
    assert not list(streams.pool)  # both conversations have ended


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"end": "turn"}, "'end' is 'turn'; expected true or false, 'message' or 'conversation'"),
        ({"end": ["message"]}, r"'end' is \['message'\]; expected true or false, 'message' or"),
        ({"end": True}, "^the message has no 'speaker', and this model needs one for each message; give it with any "),
        ({"speaker": None, "end": True}, "speaker: None was given; expected a name"),
        ({"speaker": True, "end": True}, "speaker: True was given; expected a name"),
        ({"speaker": [True], "end": True}, "'speaker' contains true or false; expected numbers"),
        ({"who": "ann"}, "unknown key 'who'; an event has stream, text, x, time, series, seq, end, speaker"),
    ],
)
def test_events_that_are_refused_change_nothing(event: dict[str, Any], message: str) -> None:
    streams = Streams(Predictor(level_model(), threads=1))
    with pytest.raises(DataError, match=message):
        streams.handle(json.dumps({"stream": 1, "text": "what", **event}).encode())
    assert not streams.series
    assert not list(streams.pool)


def test_a_message_is_the_only_level_of_other_models(text_predictor: Predictor) -> None:
    streams = Streams(text_predictor)
    assert streams.handle(b'{"stream": 1, "text": "what", "end": "message"}')["final"]
    with pytest.raises(DataError, match="'end' is 'conversation'; expected true or false$"):
        streams.handle(b'{"stream": 1, "text": "what", "end": "conversation"}')


@pytest.fixture
def text_predictor() -> Predictor:
    from tidegate.verify.samples import sample

    return Predictor(sample(size=4), threads=1)


def test_a_side_input_with_the_name_of_another_key_is_refused() -> None:
    model = level_model()
    text = json.dumps(model.document).replace('"speaker"', '"seq"')
    with pytest.raises(OptionError, match="the side input 'seq' has the name of another key of an event; rename it"):
        Streams(Predictor(Model(json.loads(text), model.tensors), threads=1))


def test_info_shows_each_graph(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", file]) == 0
    text = capsys.readouterr().out
    assert "levels        message, conversation\n" in text
    assert "speaker       kind category, size 3, a side input\n" in text
    assert "graph words, of a message: ticks at a step of the input, reads x; 72 bytes of state\nlayer" in text
    assert "graph talk, of a conversation: ticks at the end of words, reads words.2, speaker; 128 bytes of" in text
    assert main(["info", file, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["level"], one["clock"], one["state_bytes"]) for one in facts["graphs"]] == [
        ("words", "message", "x", 72),
        ("talk", "conversation", "words.end", 128),
    ]
    assert [one["runs_as"] for one in facts["graphs"][1]["layers"]] == ["kernel", "kernel", "kernel"]
    assert facts["state_bytes"] == 200
    assert facts["side_inputs"] == {"speaker": {"kind": "category", "size": 3}}


@pytest.mark.slow
def test_verify_checks_each_graph_on_each_target(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", file, "--json"]) == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    of = {graph: {one["target"] for one in targets if one["graph"] == graph} for graph in ("words", "talk")}
    assert of["words"] == of["talk"] >= {"oracle", "torch", "c", "base"}
    model = Model.load(file)
    wrong = {**model.tensors, "talk.2.bias": model.tensors["talk.2.bias"] + 1}
    Model(model.document, wrong).save(tmp_path / "wrong.safetensors")
    assert main(["verify", str(tmp_path / "wrong.safetensors"), "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is False
    assert {one["graph"] for one in result["targets"] if not one["ok"]} == {"talk"}


def test_exports_have_a_file_for_each_graph(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", file, "--to", "c", "--out", str(tmp_path / "chat.c"), "--name", "bot"]) == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "chat_talk.c",
        "chat_talk.h",
        "chat_words.c",
        "chat_words.h",
    ]
    assert "talk, notes" in capsys.readouterr().out
    header = " ".join((tmp_path / "chat_talk.h").read_text().replace("\n * ", " ").split())
    assert "int bot_talk_step(bot_talk_state *state, const float *x, float *out);" in header
    assert "When a message that had a step ends, talk makes one step, and words then begins anew." in header
    assert "0 to 15: outputs 8 to 23 of words; 16 to 18: speaker, 1 at the number of the name and 0" in header
    assert main(["export", file, "--to", "onnx", "--out", str(tmp_path / "chat.onnx"), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["graphs"]) == ["words", "talk"]
    assert b"16 to 18: speaker" in (tmp_path / "chat_talk.onnx").read_bytes()

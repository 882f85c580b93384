"""Conversations on the command line: live events in, results out, and the line of an event that is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from level_models import level_model
from tidegate.runtime import load
from tidegate.verify import attach

Run = Callable[..., CompletedProcess[str]]
EVENTS = [
    {"stream": "a", "text": "what is my ", "speaker": "ann"},
    {"stream": "b", "text": "i lost it", "speaker": "bob", "end": True},
    {"stream": "a", "text": "card", "end": True},
    {"stream": "a", "text": "pin", "speaker": "bob", "end": "conversation"},
    {"stream": "b", "text": "not my card", "speaker": "ann", "end": "conversation"},
]


def test_interleaved_conversations_on_stdin(tidegate_without_torch: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "chat.safetensors")
    attach(level_model()).save(file)
    lines = "".join(json.dumps(event) + "\n" for event in EVENTS)
    done = tidegate_without_torch("stream", file, stdin=lines)
    assert (done.returncode, done.stderr) == (0, "")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    predictor = load(file)
    talks = [
        [("what is my card", {"speaker": "ann"}), ("pin", {"speaker": "bob"})],
        [("i lost it", {"speaker": "bob"}), ("not my card", {"speaker": "ann"})],
    ]
    for id, answers in zip("ab", predictor.answers(talks), strict=True):
        final = [one["label"] for one in results if one["stream"] == id and one.get("final")]
        assert final == [answer["label"].as_dict(False) for answer in answers]
    assert results[0]["label"]["label"] is not None  # a preview
    assert "final" not in results[0]


def test_the_line_of_an_event_that_is_refused(tidegate_without_torch: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "chat.safetensors")
    attach(level_model()).save(file)
    lines = json.dumps(EVENTS[0]) + '\n{"stream": "a", "text": "card", "end": "turn"}\n{"stream": "c", "end": true}\n'
    done = tidegate_without_torch("stream", file, stdin=lines)
    assert done.returncode == 2
    assert "stdin:2: 'end' is 'turn'; expected true or false, 'message' or 'conversation'; correct" in done.stderr
    done = tidegate_without_torch("stream", file, "--skip-bad", stdin=lines)
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[1])["label"]["reason"] == "the message has no word"

"""Models that read whole messages, from the command line: fit, verify, score, predict, stream, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from intents import SMALL

from tidegate.model import Model

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def both(fitted: Any, tidegate: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("both") / "both.safetensors"
    more = ("--direction", "both", "--conv", "3", "--linear", "off", "--subwords", "0", "--out", model)
    done = tidegate("fit", "classify", fitted.train, *SMALL, *more)
    assert done.returncode == 0, done.stderr
    return model


def test_it_is_verified_scored_and_predicts_without_torch(fitted: Any, both: Path, tidegate_without_torch: Run) -> None:
    checked = json.loads(tidegate_without_torch("verify", both, "--json").stdout)
    assert checked["ok"]
    pieces = {one["chunks"] for one in checked["targets"] if one["path"].startswith(("fused", "interpreter"))}
    assert pieces == {True}
    assert json.loads(tidegate_without_torch("score", both, fitted.test, "--json").stdout)["accuracy"] > 0.8
    texts = ["I lost my card in Paris", "opening hours Köln?"]
    done = tidegate_without_torch("predict", both, "--json", *(part for text in texts for part in ("--message", text)))
    together = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["label"] for one in together] == ["card_lost", "hours"]
    for text, one in zip(texts, together, strict=True):
        assert json.loads(tidegate_without_torch("predict", both, "--message", text, "--json").stdout) == one


def test_info_says_when_it_answers(both: Path, tidegate: Run) -> None:
    found = json.loads(tidegate("info", both, "--json", TIDEGATE_FUSED="1").stdout)
    assert found["streams"] == "one answer at each end; keeps up to 1024 steps"
    assert (found["state_bytes"], found["kept_bytes"]) == (8, 4 * 1024)
    assert (found["options"]["direction"], found["options"]["conv"], found["options"]["prefix"]) == ("both", 3, 0.0)
    kinds = [(one["kind"], one["runs_as"]) for one in found["layers"]]
    assert kinds[1:3] == [("conv", "kernel"), ("bidirectional", "kernel")]
    shown = tidegate("info", both, TIDEGATE_FUSED="1").stdout
    assert "16 -> 16, window of 3, relu" in shown
    assert "both directions" in shown
    assert "4,104 bytes per stream (8 for the layers, 4,096 for the steps of a message)" in " ".join(shown.split())


def test_a_stream_answers_at_each_end(both: Path, tidegate_without_torch: Run) -> None:
    texts = {"a": "I lost my card in Paris", "b": "opening hours Köln?"}
    events = [{"stream": id, "text": text[k : k + 5]} for k in range(0, 25, 5) for id, text in texts.items()]
    events += [{"stream": id, "end": True} for id in texts] + [{"stream": "c", "text": " ", "end": True}]
    sent = "".join(json.dumps(event) + "\n" for event in events)
    done = tidegate_without_torch("stream", both, "--all", stdin=sent)
    assert done.returncode == 0, done.stderr
    *early, first, second, empty = (json.loads(line) for line in done.stdout.splitlines())
    waits = "this model reads whole messages; the answer comes at their end"
    assert {one["reason"] for one in early} == {"no complete word yet", waits}
    assert {one["label"] for one in early} == {None}
    assert (empty["label"], empty["reason"]) == (None, "the message has no word")
    for text, one in zip(texts.values(), (first, second), strict=True):
        whole = json.loads(tidegate_without_torch("predict", both, "--message", text, "--json").stdout)
        assert (one["label"], one["score"], one["final"]) == (whole["label"], whole["score"], True)
    each = tidegate_without_torch("stream", both, "--all", "--per-step", stdin=sent).stdout.splitlines()
    *early, first_of_each, second_of_each, _ = (json.loads(line) for line in each)
    assert {str(one["steps"]) for one in early} == {"[]"}
    for one, result in ((first, first_of_each), (second, second_of_each)):
        steps = result.pop("steps")
        assert result == one
        assert [step["step"] for step in steps] == list(range(len(steps)))
        assert steps[-1]["scores"] == one["scores"]


def test_a_message_longer_than_a_stream_keeps_is_refused(both: Path, tidegate_without_torch: Run) -> None:
    sent = [{"stream": 1, "text": "a " * 1024}, {"stream": 1, "text": "a"}, {"stream": 1, "text": "", "end": True}]
    done = tidegate_without_torch("stream", both, "--skip-bad", stdin="".join(json.dumps(one) + "\n" for one in sent))
    _, final = (json.loads(line) for line in done.stdout.splitlines())
    assert final["label"] is not None
    sentence = "the message would have 1,025 steps, and a stream of this model keeps at most 1,024 until its end"
    assert done.stderr.splitlines()[0] == (
        f"tidegate: skipped stdin:2: {sentence}; end the message before, or give it whole to predict"
    )


def test_an_older_file_is_refused_in_its_sentence(both: Path, tidegate_without_torch: Run, tmp_path: Path) -> None:
    model, older = Model.load(both), tmp_path / "older.safetensors"
    streams = {"yes": False, "because": "it reads each input in both directions"}
    Model({**model.document, "streams": streams}, model.tensors).save(older)
    done = tidegate_without_torch("stream", older, stdin='{"stream": 1, "text": "a"}\n')
    assert done.returncode == 2
    assert done.stdout == ""
    sentence = "streams: no, because it reads each input in both directions; predict takes whole inputs"
    assert done.stderr.strip() == f"tidegate: {older}: {sentence}"
    shown = tidegate_without_torch("info", older).stdout
    assert "no, because it reads each input in both directions" in shown
    assert "none, it does not stream" in shown


def test_a_causal_convolution_streams(fitted: Any, tidegate: Run, tidegate_without_torch: Run, tmp_path: Path) -> None:
    model = tmp_path / "conv.safetensors"
    done = tidegate(
        "fit", "classify", fitted.train, *SMALL, "--conv", "3", "--linear", "off", "--subwords", "0", "--out", model
    )
    assert done.returncode == 0, done.stderr
    checked = json.loads(tidegate_without_torch("verify", model, "--json").stdout)
    assert checked["ok"]
    text = "send 7.50 to my landlord"
    whole = json.loads(tidegate_without_torch("predict", model, "--message", text, "--json").stdout)
    sent = "".join(json.dumps({"stream": 1, "text": c}) + "\n" for c in text) + '{"stream": 1, "end": true}\n'
    final = json.loads(tidegate_without_torch("stream", model, stdin=sent).stdout.splitlines()[-1])
    assert (final["label"], final["score"]) == (whole["label"], whole["score"])


def test_wrong_options_are_named(fitted: Any, tidegate: Run, tmp_path: Path) -> None:
    for flag, value, sentence in (
        ("--direction", "backwards", "choose from"),
        ("--conv", "-1", "it must be 0 to 64"),
    ):
        done = tidegate("fit", "classify", fitted.train, *SMALL, flag, value, "--out", tmp_path / "m.safetensors")
        assert done.returncode == 2
        assert sentence in done.stderr

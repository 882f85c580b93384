"""Models that read whole messages, from the command line: fit, verify, score, predict, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from intents import SMALL

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def both(fitted: Any, tidegate: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("both") / "both.safetensors"
    more = ("--direction", "both", "--conv", "3", "--out", model)
    done = tidegate("fit", "classify", fitted.train, *SMALL, *more)
    assert done.returncode == 0, done.stderr
    return model


def test_it_is_verified_scored_and_predicts_without_torch(fitted: Any, both: Path, tidegate_without_torch: Run) -> None:
    checked = json.loads(tidegate_without_torch("verify", both, "--json").stdout)
    assert checked["ok"]
    assert {one["chunks"] for one in checked["targets"]} == {None}
    assert json.loads(tidegate_without_torch("score", both, fitted.test, "--json").stdout)["accuracy"] > 0.8
    texts = ["I lost my card in Paris", "opening hours Köln?"]
    done = tidegate_without_torch("predict", both, "--json", *(part for text in texts for part in ("--message", text)))
    together = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["label"] for one in together] == ["card_lost", "hours"]
    for text, one in zip(texts, together, strict=True):
        assert json.loads(tidegate_without_torch("predict", both, "--message", text, "--json").stdout) == one


def test_info_says_that_it_does_not_stream(both: Path, tidegate: Run) -> None:
    found = json.loads(tidegate("info", both, "--json").stdout)
    assert found["streams"] == "no, because it reads each input in both directions"
    assert (found["options"]["direction"], found["options"]["conv"], found["options"]["prefix"]) == ("both", 3, 0.0)
    kinds = [(one["kind"], one["runs_as"]) for one in found["layers"]]
    assert kinds[1:3] == [("conv", "kernel"), ("bidirectional", "kernel")]
    shown = tidegate("info", both).stdout
    assert "16 -> 16, window of 3, relu" in shown
    assert "both directions" in shown
    assert "none, it does not stream" in shown


def test_streaming_it_is_refused_in_the_files_sentence(both: Path, tidegate_without_torch: Run) -> None:
    done = tidegate_without_torch("stream", both, stdin='{"stream": 1, "text": "a"}\n')
    assert done.returncode == 2
    assert done.stdout == ""
    sentence = "streams: no, because it reads each input in both directions; predict takes whole inputs"
    assert done.stderr.strip() == f"tidegate: {both}: {sentence}"


def test_a_causal_convolution_streams(fitted: Any, tidegate: Run, tidegate_without_torch: Run, tmp_path: Path) -> None:
    model = tmp_path / "conv.safetensors"
    done = tidegate("fit", "classify", fitted.train, *SMALL, "--conv", "3", "--out", model)
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

"""The main job from end to end: fit, score, verify, predict, stream, each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from intents import SMALL, messages, write

Run = Callable[..., CompletedProcess[str]]
TEXT = "Bitte, send £15 to 山田さん — now"


def answers(done: CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def events(chunks: list[str], **more: Any) -> str:
    last = len(chunks) - 1
    made = [{"stream": "a", "text": chunk, "end": i == last, **more} for i, chunk in enumerate(chunks)]
    return "".join(json.dumps(event) + "\n" for event in made)


def test_score_tells_accuracy_labels_and_confusions(fitted: Any, tidegate_without_torch: Run) -> None:
    metrics = answers(tidegate_without_torch("score", fitted.model, fitted.test, "--json"))[0]
    assert metrics["rows"] == 80
    assert metrics["accuracy"] > 0.9
    assert set(metrics["labels"]) == {"balance", "card_lost", "hours", "transfer"}
    shown = tidegate_without_torch("score", fitted.model, fitted.test).stdout
    assert f"accuracy {metrics['accuracy']:.4f}" in shown
    assert "card_lost" in shown


def test_a_label_unseen_in_training_is_an_error_or_wrong(fitted: Any, tidegate: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "new.csv", [*messages(8, 3), ("is it open", "weather")])
    refused = tidegate("score", fitted.model, file)
    assert refused.returncode == 2
    assert f"{file}:10: label 'weather'" in refused.stderr
    metrics = answers(tidegate("score", fitted.model, file, "--unseen", "wrong", "--json"))[0]
    assert (metrics["rows"], metrics["unseen"]) == (9, 1)


def test_predict_reads_text_file_and_stdin_alike(fitted: Any, tidegate_without_torch: Run, tmp_path: Path) -> None:
    rows = messages(12, 4)
    file = write(tmp_path / "new.jsonl", rows)
    texts = [text for text, _ in rows]
    flags = [word for text in texts for word in ("--message", text)]
    by_text = answers(tidegate_without_torch("predict", fitted.model, *flags, "--json", "--top", 4))
    by_file = answers(tidegate_without_torch("predict", fitted.model, file, "--json", "--top", 4))
    lines = "\n".join(texts) + "\n"
    by_stdin = answers(tidegate_without_torch("predict", fitted.model, "-", "--json", "--top", 4, stdin=lines))
    assert by_text == by_file == by_stdin
    assert [found["text"] for found in by_text] == texts


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_streaming_in_chunks_gives_the_bits_of_predict(fitted: Any, tidegate_without_torch: Run, size: int) -> None:
    whole = answers(tidegate_without_torch("predict", fitted.model, "--message", TEXT, "--json", "--top", 4))[0]
    chunks = [TEXT[i : i + size] for i in range(0, len(TEXT), size)]
    streamed = answers(tidegate_without_torch("stream", fitted.model, "--all", stdin=events(chunks)))
    assert len(streamed) == len(chunks)
    assert streamed[-1]["final"] is True
    assert streamed[-1]["scores"] == dict(whole["top"])
    assert (streamed[-1]["label"], streamed[-1]["score"]) == (whole["label"], whole["score"])


def test_streams_do_not_touch_each_other(fitted: Any, tidegate_without_torch: Run) -> None:
    texts = {"a": "my card is gone", 7: "opening hours Paris?", "7": "send £15 to Peter"}
    pieces = [(name, word + " ") for k in range(5) for name, text in texts.items() for word in text.split()[k : k + 1]]
    sent = [{"stream": name, "text": word} for name, word in pieces] + [{"stream": n, "end": True} for n in texts]
    found = answers(tidegate_without_torch("stream", fitted.model, stdin="".join(json.dumps(e) + "\n" for e in sent)))
    final = {answer["stream"]: answer["score"] for answer in found if answer.get("final")}
    alone = {
        name: answers(tidegate_without_torch("predict", fitted.model, "--message", text, "--json"))[0]["score"]
        for name, text in texts.items()
    }
    assert final == alone


def test_before_the_first_token_there_is_a_reason_and_no_score(fitted: Any, tidegate_without_torch: Run) -> None:
    sent = '{"stream": "a", "seq": 3, "text": "hel"}\n{"stream": "a", "text": "lo "}\n'
    first, second = answers(tidegate_without_torch("stream", fitted.model, stdin=sent))
    assert (first["label"], first["score"], first["seq"]) == (None, None, 3)
    assert first["reason"]
    assert second["label"] is not None


def test_every_target_agrees_with_the_oracle(fitted: Any, tidegate_without_torch: Run) -> None:
    done = tidegate_without_torch("verify", fitted.model, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)


def test_info_describes_the_file(fitted: Any, tidegate_without_torch: Run) -> None:
    found = json.loads(tidegate_without_torch("info", fitted.model, "--json").stdout)
    assert found["task"] == "classify"
    assert found["labels"] == ["balance", "card_lost", "hours", "transfer"]
    assert "intent.safetensors" in tidegate_without_torch("info", fitted.model).stdout


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_the_same_rows_give_the_same_model_from_any_file(
    tidegate: Run, weights_hash: Callable[[Path], str], tmp_path: Path, suffix: str, hash_of_csv: str
) -> None:
    train = write(tmp_path / f"train{suffix}", messages(80, 5))
    done = tidegate("fit", "classify", train, *SMALL, "--epochs", 1, "--out", tmp_path / "m.safetensors")
    assert done.returncode == 0, done.stderr
    assert weights_hash(tmp_path / "m.safetensors") == hash_of_csv


@pytest.fixture(scope="module")
def hash_of_csv(python: Run, weights_hash: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a process that hashes strings otherwise than those that are forks of one."""
    folder = tmp_path_factory.mktemp("csv")
    train = write(folder / "other name.csv", messages(80, 5))
    out = folder / "m.safetensors"
    done = python("-m", "tidegate", "fit", "classify", str(train), *SMALL, "--epochs", "1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    return weights_hash(folder / "m.safetensors")

"""States of streams of the golden models, saved within a message or between two: python tests/golden/states.py.

The files of a version of states are made once and then stay for ever; `states.json` has what must follow from each.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tidegate.model import Model
from tidegate.runtime import Predictor, Stream

HERE = Path(__file__).resolve().parent
HASHES = HERE / "states.json"

# For each golden model, what is pushed before its state is saved, and what follows.
PUSHES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "listener": (
        [{"x": [5, 4], "end": True}, {"x": [1, 2, 3, 0, 5, 2, 2]}],
        [{"x": [4]}, {"x": [3, 1], "end": True}, {"x": [2], "end": True}],
    ),
    "conversation": (
        [
            {"x": [1, 2, 3], "end": True, "sides": {"speaker": "ann"}},
            {"x": [8], "end": True, "sides": {"speaker": "bo"}},
        ],
        [{"x": [4, 5], "sides": {"speaker": "ann"}}, {"x": [6], "end": "conversation"}],
    ),
    "reply": (
        [
            {"x": [1, 2, 3], "end": True, "sides": {"speaker": "ann"}},
            {"x": [8, 0, 7], "end": True, "sides": {"speaker": "bo"}},
            {"x": [4, 5], "sides": {"speaker": "ann"}},
        ],
        [{"x": [6, 6], "end": True}, {"x": [3], "sides": {"speaker": "bo"}, "end": "conversation"}],
    ),
}


def open_stream(name: str) -> Stream:
    """Open a stream of the newest golden model of this name, on the target whose bits are the same on every machine."""
    path = sorted(HERE.glob(f"[0-9]*-{name}.safetensors"))[-1]
    return Predictor(Model.load(path), "base", 1).stream()


def push_all(stream: Stream, pushes: list[dict[str, Any]]) -> list[Any]:
    """Push pieces and return the answers."""
    return [stream.push(**push) for push in pushes]


def hash_answers(answers: list[Any]) -> str:
    """Hash the numbers of answers, or the reasons why there are none."""
    whole = hashlib.sha256()
    for answer in answers:
        values = answer.values
        for part in values.values() if isinstance(values, dict) else [values]:
            whole.update(answer.reason.encode() if part is None else part.tobytes())
    return whole.hexdigest()


def main() -> None:
    hashes = json.loads(HASHES.read_text("utf-8")) if HASHES.exists() else {}
    for name, (first, then) in PUSHES.items():
        stream = open_stream(name)
        push_all(stream, first)
        data = stream.state.to_bytes()
        path = HERE / f"state-{int.from_bytes(data[16:20], 'little')}-{name}.bin"
        if path.exists():
            print(f"{path.name} already exists")
            continue
        path.write_bytes(data)
        hashes[path.name] = {"steps": stream.steps, "answers": hash_answers(push_all(stream, then))}
        print(f"{path.name}: {len(data)} bytes")
    HASHES.write_text(json.dumps(hashes, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

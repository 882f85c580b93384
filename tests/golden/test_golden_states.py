"""States of every version load for ever, and what follows them has the bits that it had when they were made."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from tidegate.runtime import State

HERE = Path(__file__).resolve().parent
HASHES = json.loads((HERE / "states.json").read_text("utf-8"))
FILES = sorted(HERE.glob("state-*.bin"))
states = runpy.run_path(str(HERE / "states.py"))


def test_every_version_has_its_files() -> None:
    assert [path.name for path in FILES] == sorted(HASHES)
    assert {path.name.split("-")[1] for path in FILES} == {"1", "2"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_continues_with_the_same_bits(path: Path) -> None:
    name, expected = path.stem.split("-")[2], HASHES[path.name]
    first, then = states["PUSHES"][name]
    stream, again = states["open_stream"](name), states["open_stream"](name)
    state = State.from_bytes(path.read_bytes())
    stream.restore(state)
    assert stream.steps == expected["steps"]
    states["push_all"](again, first)
    assert again.state == stream.state == state  # what is saved today
    assert states["hash_answers"](states["push_all"](stream, then)) == expected["answers"]

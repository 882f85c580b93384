"""No room branches on the kinds of another, so that a new layer, input, output or task is one new file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from kinds import OTHERS, Switch, find_switches, is_other, list_switches

from tidegate import decode, inputs, layers, outputs, tasks

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "tidegate"
KINDS = {
    "layers": set(layers.kinds()),
    "inputs": set(inputs.kinds()),
    "outputs": set(outputs.kinds()),
    "decode": set(decode.kinds()),
    "tasks": set(tasks.names()),
}


@pytest.fixture(scope="module")
def found() -> dict[str, list[Switch]]:
    return {room: find_switches(PACKAGE, room, kinds) for room, kinds in KINDS.items()}


@pytest.mark.parametrize("room", KINDS)
def test_no_room_branches_on_the_kinds_of_another(found: dict[str, list[Switch]], room: str) -> None:
    guilty = [one for one in found[room] if not any(is_other(one, other) for other in OTHERS)]
    assert [f"{one.file}:{one.line}: {one.code[:80]}" for one in guilty] == []


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: f"{other[0]}-{other[2]}")
def test_each_word_of_another_vocabulary_is_still_there(found: dict[str, list[Switch]], other: tuple[str, ...]) -> None:
    assert any(is_other(one, other) for room in found.values() for one in room)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('if source.kind == "text": pass', ["text"]),
        ('a = entry["kind"] in ("series", "ids")', ["series", "ids"]),
        ('match source.kind:\n  case "text": pass', ["text"]),
        ('TABLE = {"text": 1, "ids": 2}', ["text", "ids"]),
        ('CHOICES = ("text", "ids")', ["text", "ids"]),
        ('if source.kind == "dense": pass', []),
        ('TABLE = {"text": 1, "other": 2}', []),
        ('event = {**more, "text": 1}', []),
        ('section = {"kind": "text"}', []),
    ],
)
def test_the_rule_tells_a_switch_from_other_code(source: str, words: list[str]) -> None:
    found = [word for _, named in list_switches(ast.parse(source), {"text", "ids", "series"}) for word in named]
    assert sorted(set(found)) == sorted(words)

"""The rooms that run and check models ask inputs and outputs, and branch on no kind of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate import inputs, outputs

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "tidegate"
ROOMS = ("document", "runtime", "verify", "reference.py", "cli/stream.py", "cli/_live.py")
UPGRADE = "upgrade.py"  # reads format 1, where kinds are guessed
KINDS = {*inputs.kinds(), *outputs.kinds()}


def find_switches(source: str) -> Iterator[int]:
    """Yield the lines of comparisons with the name of a kind."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any("kind" in ast.unparse(side) for side in sides) and KINDS & {
                one.value for side in sides for one in ast.walk(side) if isinstance(one, ast.Constant)
            }:
                yield node.lineno


def list_files() -> list[Path]:
    places = [PACKAGE / room for room in ROOMS]
    return [path for place in places for path in ([place] if place.suffix else sorted(place.rglob("*.py")))]


def test_no_room_that_runs_models_branches_on_a_kind() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in list_files()
        if path.name != UPGRADE
        for line in find_switches(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "guilty"),
    [
        ('if source.kind == "text": pass', True),
        ('a = entry["kind"] in ("series", "ids")', True),
        ('if source.kind == "dense": pass', False),
        ('if name == "text": pass', False),
    ],
)
def test_the_rule_tells_a_switch_from_another_comparison(source: str, guilty: bool) -> None:
    assert bool(list(find_switches(source))) == guilty

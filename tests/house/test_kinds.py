"""No code outside layers/ switches on the kind of a layer. And this test can fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tidegate import layers

sys.path.insert(0, str(Path(__file__).parent))
import kinds as rules

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "tidegate"
ROOMS = {"layers": set(layers.kinds())}


@pytest.mark.parametrize("room", ROOMS)
def test_no_other_room_switches_on_kinds(room: str) -> None:
    assert rules.find_switches(PACKAGE, room, ROOMS[room]) == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('if layer.kind == "recurrent": pass', 1),
        ('if layer["kind"] != "dense": pass', 1),
        ('if layer.get("kind") in ("dense", "conv"): pass', 1),
        ('if "final" in kinds: pass', 1),
        ('kinds[:2] == ["embed", "bidirectional"]', 1),
        ('[x for x in layers if x["kind"] == "pool" or x["kind"] == "norm"]', 2),
        ('match kind:\n    case "embed" | "dense":\n        pass', 2),
        ('TABLE = {"embed": 1, "dense": 2}', 1),
        ('builder.add("dense", size=3)', 0),
        ('{"dense": 1, "other": 2}', 0),
        ('if instruction.name == "norm": pass', 0),
        ('if entry["kind"] == "series": pass', 0),
        ('f(kind="dense")', 0),
    ],
)
def test_a_switch_is_found(code: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "runtime").mkdir()
    (tmp_path / "layers").mkdir()
    for folder in ("runtime", "layers"):
        (tmp_path / folder / "a.py").write_text(code)
    found = rules.find_switches(tmp_path, "layers", ROOMS["layers"])
    assert len(found) == count
    assert all(one.startswith("runtime/a.py:") for one in found)

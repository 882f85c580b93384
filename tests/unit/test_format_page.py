"""The example document and tensors at the top of docs/format.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from tidegate import cells
from tidegate.model import Model
from tidegate.tape import Program, Tape, lower
from tidegate.tape.program import SIGNATURES


def test_the_example_is_a_model(root: Path) -> None:
    """Load the example, with words for its vocabulary, which the page leaves out."""
    text = (root / "docs" / "format.md").read_text("utf-8")
    example = json.loads(re.sub(r"(?m)\s*//.*$", "", text.split("```jsonc")[1].split("```")[0]))
    assert Tape.from_json(example["tapes"]["gru"]) == cells.load("gru").tape
    tensors: dict[str, Any] = {}
    dtypes = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "U8": np.uint8}
    for names, dtype, shapes in re.findall(r"(?m)^\| (`.+?) \| (\w+) \| (\[.+?\]) \|", text.split("## Bytes")[0]):
        sizes = json.loads(f"[{shapes}]")
        for i, name in enumerate(re.findall("`(.+?)`", names)):
            tensors[name] = np.zeros(sizes[i % len(sizes)], dtypes[dtype])
    tensors["input.vocabulary.bytes"][:] = np.frombuffer(b"abcdefghij" + b"k" * 26, np.uint8)
    tensors["input.vocabulary.offsets"][:] = [0, *range(11), 36]
    Model(example, tensors)


def test_the_example_of_a_program_is_one(root: Path) -> None:
    text = (root / "docs" / "format-programs.md").read_text("utf-8")
    program = Program.from_json(json.loads(text.split("```json")[1].split("```")[0]))
    assert program == lower(lambda xp, t, s, x, steps: (xp.tanh(x * t["gain"]), {}), 3, 0, {"gain": (3,)}, {})
    listed = set(re.findall(r"\w+", text))
    assert set(SIGNATURES) - {"take", "bag"} <= listed  # no layer of a user's own takes ids

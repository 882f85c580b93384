"""The examples of docs/format.md and of the pages that are parts of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from tidegate import cells
from tidegate.features import ngrams
from tidegate.inputs.text import TextInput, parse
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


def read_example_of_ngrams(root: Path) -> tuple[str, TextInput]:
    """Return the page about n-grams, and the input of its example."""
    page = (root / "docs" / "format-ngrams.md").read_text("utf-8")
    entry = json.loads(page.split("```json\n")[1].split("```")[0])
    tables = {name: re.findall(r"\d+", line) for name, line in re.findall(r"(?m)^    (input\.\S+) +(.+)$", page)}
    tensors = {name: np.array(hashes, np.uint32) for name, hashes in tables.items()}
    tensors["input.vocabulary.bytes"] = np.frombuffer(b"tidegate", np.uint8)
    tensors["input.vocabulary.offsets"] = np.array([0, 0, 4, 8])
    return page, parse("x", entry, tensors)


def test_the_hashes_of_the_example_of_ngrams_are_right(root: Path) -> None:
    page, source = read_example_of_ngrams(root)
    shown = re.findall(r"(?m)^\| (\w+) \| `(.+)` \| (\d+) \| (\w+) \| (\w+) \|$", page)
    assert len(shown) == 9
    for _, string, code, port, place in shown:
        assert crc32(string.encode()) == int(code)
        names, _ = source.row_names(port)
        assert names
        assert place == (str(names.index(code)) if code in names else "none")


def test_the_rows_and_the_state_of_the_example_of_ngrams_are_right(root: Path) -> None:
    page, source = read_example_of_ngrams(root)
    steps, _ = source.push("Tide gate", source.start(), end=True)
    shown = re.findall(r"(?m)^    (?:tide|gate) ((?: +-?\d+)+) \.\.\.$", page)
    for row, text in zip(steps.rows.tolist(), shown, strict=True):
        numbers = list(map(int, text.split()))
        assert (row[: len(numbers)], set(row[len(numbers) :]), len(row)) == (numbers, {-1}, 257)
    _, state = source.push("Tide ga", source.start())
    assert state.hex(" ") == " ".join(re.findall(r"(?m)^    ((?:[\da-f]{2} +)+) the CRC-32", page)[0].split())


def test_the_javascript_gives_the_ids_of_the_engine(root: Path, tmp_path: Path) -> None:
    if not (node := shutil.which("node")):
        pytest.skip("no node here")
    page, _ = read_example_of_ngrams(root)
    words = ["tide", "gate", "día", "x" * 64, "gate", "\N{GRINNING FACE}", "aaaa", "gate"]
    known = [word.encode() for word in words[:5]]
    single = [ngrams.hash_word(word) for word in known[1:]]
    pairs = [ngrams.hash_pair(known[1], ngrams.append_word(known[0])), ngrams.hash_pair(known[0], ngrams.NO_WORD)]
    tables = {
        "words": sorted({*single, *pairs}),
        "characters": sorted({code for word in [*known, b"aaaa"] for code in ngrams.hash_characters(word, 1, 4)}),
    }
    arrays = (np.array(tables[kind], np.uint32) for kind in ("words", "characters"))
    expected, before = ngrams.NGrams(*arrays, 1, 4).ids([word.encode() for word in words])
    (tmp_path / "page.js").write_text(
        page.split("```js\n")[1].split("```")[0]
        + f"const given = {json.dumps({'words': words, 'tables': tables})};"
        + "const tables = {};"
        + "for (const kind in given.tables) tables[kind] = new Map(given.tables[kind].map((code, i) => [code, i]));"
        + "const first = ngramIds(given.words.slice(0, 3), tables, [1, 4]);"
        + "const {rows, before} = ngramIds(given.words.slice(3), tables, [1, 4], first.before);"
        + "console.log(JSON.stringify({rows: [...first.rows, ...rows].map((row) => Array.from(row)), before}));",
        "utf-8",
    )
    done = subprocess.run([node, tmp_path / "page.js"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"rows": expected.tolist(), "before": before}

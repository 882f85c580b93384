"""Check the exported C of every cell and dialect: errors against bounds, and bits against those of the base target.

    python bench/c_export.py [--cells gru lstm ...] [--lengths 1 7 100 1000] [--rows 20000] [--json]

Each model (3 inputs, 8 units, 4 outputs) is compiled with gcc and clang at -O0 and at -O3 for this machine's own
instruction set, and its self-test with gcc's address and undefined-behaviour sanitizers. error: the largest error of
outputs and states over all cells and dialects; ratio: the largest ratio of an error to its own bound. The last figures
are the seconds to write and compile a model whose embedding has --rows rows.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import record

from tidegate import bridge, cells
from tidegate.model import Model
from tidegate.runtime import compile
from tidegate.verify import attach
from tidegate.verify.c_target import build_library
from tidegate.verify.native_target import run_chunks
from tidegate.verify.replay import Pair, Replay
from tidegate.verify.samples import sample

LENGTHS = (1, 7, 100, 1000)
LEVELS = ("-O0", "-O3 -march=native")
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
Row = dict[str, Any]


def compilers() -> dict[str, list[str]]:
    """Find gcc and clang, and return the command of each one that is installed."""
    commands = {name: [name] for name in ("gcc", "clang") if shutil.which(name)}
    if "clang" not in commands and importlib.util.find_spec("ziglang"):
        commands["clang"] = [sys.executable, "-m", "ziglang", "cc"]
    return commands


def versions() -> dict[str, str]:
    return {
        name: subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
        for name, command in compilers().items()
    }


def measure(cell: str, dialect: dict[str, str], lengths: tuple[int, ...]) -> list[Row]:
    """Compile and run a model; return one row for each compiler, level and length."""
    model = attach(sample(seed=1, features=3, size=8, outputs=4, cell=cell, dialect=dialect), lengths=lengths)
    replay, engine = Replay(model), compile(model, "base", fused=False)
    bounds = replay.target_bounds("base")
    base = [run_chunks(engine, replay.initial_state, x, [len(x)]) for x in replay.x]
    rows = []
    for name, command in compilers().items():
        for level in LEVELS:
            with build_library(model, command, *level.split(), *STRICT) as built:
                runs = [built.run(built.initial_state(), x) for x in replay.x]
            answers = replay.to_answers(runs)
            for k, length in enumerate(lengths):
                pairs = zip(answers[k], replay.stored[k], strict=True)
                errors, limits = (np.concatenate(v) for v in ([abs(a - b) for a, b in pairs], bounds[k]))
                rows.append(
                    {
                        "cell": cell,
                        "dialect": dialect,
                        "compiler": name,
                        "level": level,
                        "steps": length,
                        "error": float(errors.max()),
                        "bound": float(limits[errors.argmax()]),
                        "ratio": float(np.divide(errors, limits, out=np.zeros_like(errors), where=errors > 0).max()),
                        "same_bits": as_bytes(runs[k]) == as_bytes(base[k]),
                    }
                )
    return rows


def as_bytes(pair: Pair) -> tuple[bytes, bytes]:
    return pair[0].tobytes(), pair[1].tobytes()


def passes_sanitizers(cell: str, dialect: dict[str, str]) -> bool:
    """Check that the self-test passes when compiled with the sanitizers."""
    model = attach(sample(seed=1, features=3, size=8, outputs=4, cell=cell, dialect=dialect), lengths=(1, 100))
    with tempfile.TemporaryDirectory() as folder:
        bridge.export(model, "c", Path(folder) / "m.c", name="m")
        command = ["gcc", "-std=c99", *SANITIZED, *STRICT, "-DM_SELF_TEST", "m.c", "-lm", "-o", "m"]
        subprocess.run(command, cwd=folder, check=True)
        return subprocess.run([str(Path(folder) / "m")], capture_output=True, check=False).returncode == 0


def time_large_model(rows: int) -> Row:
    """Time how long it takes to write and compile a model with an embedding of so many rows, 128 wide."""
    model = make_large_model(rows, 128)
    figures: Row = {"weights": sum(model.tensors[n].size for one in model.layers for n in one.tensors.values())}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        bridge.export(model, "c", Path(folder) / "m.c", name="m")
        figures["write_s"] = round(time.perf_counter() - start, 2)
        for name, command in compilers().items():
            start = time.perf_counter()
            subprocess.run([*command, "-std=c99", "-O2", "-c", "m.c", "-o", "m.o"], cwd=folder, check=True)
            figures[f"{name}_s"] = round(time.perf_counter() - start, 2)
    name, command = next(iter(compilers().items()))
    start = time.perf_counter()
    with build_library(model, command, "-O2") as built:
        assert built.outputs == 150
    figures["verify_compile_s"] = round(time.perf_counter() - start, 2)
    return figures


def make_large_model(rows: int, size: int) -> Model:
    """Make a classifier of token ids whose embedding has this many rows."""
    small = sample(seed=1, size=size, outputs=150)
    document, tensors = small.document, dict(small.tensors)
    names = document["inputs"]["x"]["vocabulary"]
    words = [b""] + [b"%d" % i for i in range(1, rows)]
    document["inputs"]["x"]["size"] = document["graphs"]["layers"]["nodes"][0]["rows"] = rows
    tensors[names["bytes"]] = np.frombuffer(b"".join(words), np.uint8)
    tensors[names["offsets"]] = np.cumsum([0, *map(len, words)], dtype=np.int64)
    tensors["layers.0.weight"] = np.random.default_rng(1).standard_normal((rows, size), np.float32)
    return attach(Model(document, tensors), lengths=(1,))


def summarise(rows: list[Row]) -> list[Row]:
    """Return the worst row of each compiler, level and length over cells and dialects."""
    keys = list(dict.fromkeys((r["compiler"], r["level"], r["steps"]) for r in rows))
    worst_rows = []
    for key in keys:
        mine = [r for r in rows if (r["compiler"], r["level"], r["steps"]) == key]
        worst = max(mine, key=lambda r: r["error"])
        worst_rows.append(
            {
                "compiler": key[0],
                "level": key[1],
                "steps": key[2],
                "models": len(mine),
                "error": worst["error"],
                "bound": worst["bound"],
                "ratio": max(r["ratio"] for r in mine),
                "same_bits": sum(r["same_bits"] for r in mine),
            }
        )
    return worst_rows


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--cells", nargs="+", choices=cells.names(), default=cells.names())
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not compilers():
        parser.error("neither gcc nor clang is installed; install one")
    every = [(cell, dialect) for cell in options.cells for dialect in cells.list_dialects(cell)]
    rows, clean = [], 0
    for cell, dialect in every:
        rows += measure(cell, dialect, tuple(options.lengths))
        clean += passes_sanitizers(cell, dialect) if "gcc" in compilers() else 0
    figures = {
        "models": len(every),
        "compilers": versions(),
        "summary": summarise(rows),
        "sanitizers": " ".join(SANITIZED),
        "sanitized_ok": clean,
        "large": time_large_model(options.rows),
        "rows": rows,
    }
    record.write(options.out, "c_export", record.with_provenance(figures))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'compiler':9} {'level':18} {'T':>5} {'error':>9} {'bound':>9} {'ratio':>7}  same bits as base")
    for r in figures["summary"]:
        print(
            f"{r['compiler']:9} {r['level']:18} {r['steps']:5} {r['error']:9.1e} {r['bound']:9.1e} {r['ratio']:7.3f}  "
            f"{r['same_bits']} of {r['models']}"
        )
    print(f"\nwith {' '.join(SANITIZED)}: {clean} of {len(every)} self-tests pass\nlarge model: {figures['large']}")


if __name__ == "__main__":
    main()

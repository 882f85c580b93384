"""A user's own cell, in a file outside the package, works everywhere without compiling."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from intents import SMALL

Run = Callable[..., CompletedProcess[str]]

CELL = '''
"""A gated cell with a slow average beside its state, mixed in by a learnt amount."""

GATES, RECURRENT = ("f", "c"), ("f", "c")
STATE = {"h": ("H",), "slow": ("H",)}
PARAMS = {"mix": ("H",)}
INIT = {"mix": 0.5}


def step(op, x, R, p, s):
    f = op.sigmoid(x.f + R.f(s.h))
    c = op.tanh(x.c + R.c(s.h) + p.mix * s.slow)
    h = f * s.h + (1 - f) * c
    slow = 0.9 * s.slow + 0.1 * h
    return h, s.replace(h=h, slow=slow)
'''


def test_a_cell_of_ones_own_fits_verifies_and_streams(
    fitted: Any, tidegate: Run, tidegate_without_torch: Run, tmp_path: Path
) -> None:
    cell, model = tmp_path / "mycell.py", tmp_path / "own.safetensors"
    cell.write_text(CELL, "utf-8")
    done = tidegate("fit", "classify", fitted.train, *SMALL, "--cell", cell, "--out", model)
    assert done.returncode == 0, done.stderr
    cell.unlink()  # the file carries the tape: nobody downstream needs the Python
    assert tidegate_without_torch("verify", model).returncode == 0
    score = json.loads(tidegate_without_torch("score", model, fitted.test, "--json").stdout)
    assert score["accuracy"] > 0.8
    text = "send 7.50 to my landlord"
    whole = json.loads(tidegate_without_torch("predict", model, "--message", text, "--json").stdout)
    sent = "".join(json.dumps({"stream": 1, "text": c}) + "\n" for c in text) + '{"stream": 1, "end": true}\n'
    final = json.loads(tidegate_without_torch("stream", model, stdin=sent).stdout.splitlines()[-1])
    assert (final["label"], final["score"]) == (whole["label"], whole["score"])


def test_a_cell_that_cannot_be_used_is_named(fitted: Any, tidegate: Run, tmp_path: Path) -> None:
    cell = tmp_path / "bad.py"
    cell.write_text(CELL.replace("op.sigmoid", "op.softplus"), "utf-8")
    done = tidegate("fit", "classify", fitted.train, *SMALL, "--cell", cell, "--out", tmp_path / "m.safetensors")
    assert done.returncode == 2
    assert "bad.py" in done.stderr
    assert "softplus" in done.stderr
    assert len(done.stderr.splitlines()) == 1

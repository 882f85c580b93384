"""Tapes with a projection, which alone may have P in their shapes; and norm, an operation over a whole register."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.errors import CellError
from tidegate.tape import NumpyOps, Tape, flat_width, resolve_shape, trace


def projected_json() -> dict[str, Any]:
    return copy.deepcopy(cells.load("lstm", {"projection": "yes"}).tape.to_json())


def test_a_projected_tape_says_so_and_knows_its_widths() -> None:
    tape = Tape.from_json(projected_json())
    assert tape.has_projection
    assert tape.output_shape == ("P",)
    assert not cells.load("lstm").tape.has_projection
    widths = tape.widths(8, 3)
    assert widths[tape.output] == 3
    assert widths[tape.next["c"]] == 8
    projected = next(ins.args[0] for ins in tape.instructions if ins.name == "project")
    assert widths[projected] == 8


def test_a_shape_of_p_needs_p() -> None:
    assert resolve_shape(("P", 2), 8, 3) == (3, 2)
    with pytest.raises(CellError, match=r"the shape \['P'\] needs the width of the projection"):
        flat_width(("P",), 8)


def change_tape(change: Any) -> dict[str, Any]:
    tape = projected_json()
    change(tape)
    return tape


def find_instruction(tape: dict[str, Any], name: str) -> int:
    return next(i for i, ins in enumerate(tape["instructions"]) if ins[0] == name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t["state"].update(h=["H"]), "multiplies a register of shape ['H']; expected ['P']"),
        (lambda t: t.update(output=t["next"]["c"]), "the output has shape ['H']; it must be ['P']"),
        (lambda t: t["next"].update(c=t["next"]["h"]), "state 'c' becomes shape ['P']; it is declared ['H']"),
        (
            lambda t: t["instructions"][find_instruction(t, "project")].__setitem__(
                1, t["instructions"].index(["state", "h"])
            ),
            "projects a register of shape ['P']; expected ['H']",
        ),
        (lambda t: t["instructions"][find_instruction(t, "project")].__setitem__(1, 99), "reads register 99"),
        (lambda t: t["instructions"][find_instruction(t, "project")].append(1), "has 2 arguments; project takes 1"),
        (lambda t: t["recurrent"].__setitem__(0, "project"), "a recurrent map is named 'project'"),
        (lambda t: t["state"].update(c=["Q"]), "only 'H', 'P' and integers of 1 to 65536 are allowed"),
    ],
)
def test_what_a_projected_tape_cannot_be(change: Any, sentence: str) -> None:
    with pytest.raises(CellError) as caught:
        Tape.from_json(change_tape(change))
    assert sentence in str(caught.value)


def test_p_stands_in_no_other_tape() -> None:
    tape = cells.load("gru").tape.to_json()
    tape["state"] = {"h": ["P"]}
    with pytest.raises(CellError, match="the shape of 'h' has 'P'; only 'H' and integers"):
        Tape.from_json(tape)


def test_a_projection_sees_a_stream() -> None:
    with pytest.raises(CellError, match=r"\(project\): multiplies parameters alone"):
        trace(lambda op, x, R, p, s: (R.project(p.a), s), ("n",), (), {}, {"a": ("H",)})


def test_norm_has_mean_0_and_variance_1_over_the_register() -> None:
    v = np.random.default_rng(0).normal(3, 5, (4, 50))
    y = NumpyOps.norm(v)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(-1), v.var(-1) / (v.var(-1) + 1e-5), rtol=1e-12)
    tape = trace(lambda op, x, R, p, s: (op.norm(x.n), s), ("n",), (), {}, {})
    assert [i.name for i in tape.instructions] == ["input", "norm"]
    with pytest.raises(CellError, match="op.norm takes 1 operand; got 2"):
        trace(lambda op, x, R, p, s: (op.norm(x.n, x.n), s), ("n",), (), {}, {})


@pytest.mark.parametrize("step", [lambda op: op.tanh(0.5), lambda op: op.norm(1.0), lambda op: op.add(1.0, 2.0)])
def test_numbers_alone_are_worked_out_by_whoever_writes_them(step: Any) -> None:
    with pytest.raises(CellError, match="has only constants as operands; write its result as a constant"):
        trace(lambda op, x, R, p, s: (x.n * step(op), s), ("n",), (), {}, {})

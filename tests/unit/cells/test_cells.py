"""Cells: loaded by name or from a user's file, and their tapes compute what their equations do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tidegate import cells
from tidegate.errors import CellError
from tidegate.tape import Namespace, NumpyOps, flat_width, interpret

EXAMPLE = Path(__file__).parents[3] / "examples" / "leaky.py"
PLAIN = """
GATES, RECURRENT, STATE = ('n',), ('n',), {'h': ('H',)}
def step(op, x, R, p, s):
    h = op.tanh(x.n + R.n(s.h))
    return h, s.replace(h=h)
"""
TWO_STATES = EXAMPLE.read_text()


@pytest.fixture
def user_cell() -> cells.Cell:
    return cells.load(str(EXAMPLE))


@pytest.mark.parametrize("name", cells.names())
def test_the_tape_computes_what_the_equation_computes(name: str) -> None:
    check_equation(cells.load(name))


def test_a_users_cell_has_states_params_and_constants(user_cell: cells.Cell) -> None:
    assert user_cell.init == {"leak": 0.9, "gain": 1.5}
    assert user_cell.params == {"leak": ("H",), "gain": (1,)}
    check_equation(user_cell)


def check_equation(cell: cells.Cell) -> None:
    """Compare the equation in NumPy with its tape in the interpreter, bit by bit."""
    rng, H, B = np.random.default_rng(0), 7, 3
    x = {g: rng.normal(size=(B, H)) for g in cell.gates}
    maps = {g: rng.normal(size=(H, H)) for g in cell.recurrent}
    R = {g: (lambda v, W=W: v @ W.T) for g, W in maps.items()}
    p = {n: rng.normal(size=flat_width(shape, H)) for n, shape in cell.params.items()}
    s = {n: rng.normal(size=(B, flat_width(shape, H))) for n, shape in cell.state.items()}
    y, following = cell.step(
        NumpyOps, Namespace("gate", x), Namespace("map", R), Namespace("param", p), Namespace("state", s)
    )
    got, last = interpret(cell.tape, NumpyOps, x, R, p, s)
    assert np.array_equal(y, got)
    for name, value in following.as_dict().items():
        assert np.array_equal(value, last[name])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("GATES = ('n',)", "RECURRENT is missing"),
        ("GATES = (", "the file does not run: SyntaxError"),
        ("import nothing_like_this", "the file does not run: ModuleNotFoundError"),
        (TWO_STATES.replace('"gain": 1.5', '"loss": 1.5'), "INIT names loss"),
        (TWO_STATES.replace("op.sigmoid", "op.sigmoidd"), "unknown operation 'sigmoidd'"),
        (
            TWO_STATES.replace('{"h": ("H",), "trace": ("H",)}', "('h', 'c')"),
            "STATE is ('h', 'c'); expected name -> shape",
        ),
        (PLAIN.replace("('n',)", "'n'", 1), "GATES is 'n'; expected a tuple of names"),
        (PLAIN + "INIT = {'w': 'x'}", "INIT is {'w': 'x'}; expected param -> finite number"),
        (PLAIN + "DIALECTS = {'norm': ('none', 'rms')}", "DIALECTS has the key 'norm', which every cell already has"),
        (PLAIN + "DIALECTS = {'leak': 'yes'}", "DIALECTS['leak'] is 'yes'; expected a tuple of names"),
        (PLAIN + "DIALECTS = {'leak': ()}", "DIALECTS is {'leak': ()}; expected key -> choices"),
        (PLAIN + "DIALECTS = {'leak': ('no', 'yes')}", "the step does not run: TypeError: step() got an unexpected"),
        (PLAIN.replace("op.tanh", "numpy.tanh"), "the step does not run: NameError: name 'numpy' is not defined"),
        (PLAIN + "DIALECTS = {'a': ('b',)}\nPARAMS = lambda: {}", "PARAMS does not run: TypeError"),
    ],
)
def test_a_cell_file_that_is_wrong_says_where_and_why(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(CellError) as caught:
        cells.load(str(path))
    assert str(caught.value).startswith(str(path))
    assert sentence in str(caught.value)


def test_an_unknown_cell_names_the_known_and_the_nearest() -> None:
    with pytest.raises(CellError, match="unknown cell 'gruu'; did you mean 'gru'.*choose one of"):
        cells.load("gruu")
    with pytest.raises(CellError, match="no such file"):
        cells.load("./nowhere.py")

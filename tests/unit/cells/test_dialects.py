"""Each dialect computes the equation of its paper, which is written out here in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate import cells
from tidegate.errors import CellError
from tidegate.tape import NumpyOps, flat_width, interpret

Array = npt.NDArray[np.float64]
H, P, B = 5, 3, 2
ALL = [(name, dialect) for name in cells.names() for dialect in cells.list_dialects(name)]
NAMES = ["-".join([name, *dialect.values()]) for name, dialect in ALL]


def sigmoid(v: Array) -> Array:
    return 1 / (1 + np.exp(-v))


def standardise(v: Array) -> Array:
    """Standardise row by row, by the definition."""
    return np.array([(row - row.mean()) / np.sqrt(((row - row.mean()) ** 2).mean() + 1e-5) for row in v])


def gru(x: Any, R: Any, p: Any, s: Any, dialect: dict[str, str]) -> tuple[Array, dict[str, Array]]:
    h = s["h"]
    r, z = sigmoid(x["r"] + R["r"](h)), sigmoid(x["z"] + R["z"](h))
    n = np.tanh(x["n"] + (r * R["n"](h) if dialect["reset"] == "after" else R["n"](r * h)))
    new = (1 - z) * n + z * h if dialect["update"] == "keep" else (1 - z) * h + z * n
    return new, {"h": new}


def lstm(x: Any, R: Any, p: Any, s: Any, dialect: dict[str, str]) -> tuple[Array, dict[str, Array]]:
    h, c = s["h"], s["c"]
    peep = {g: p[f"peep_{g}"] if dialect["peepholes"] == "yes" else 0.0 for g in "ifo"}
    i = sigmoid(x["i"] + R["i"](h) + peep["i"] * c)
    f = sigmoid(x["f"] + R["f"](h) + peep["f"] * c)
    c = f * c + i * np.tanh(x["g"] + R["g"](h))
    o = sigmoid(x["o"] + R["o"](h) + peep["o"] * c)
    m = o * np.tanh(c)
    y = R["project"](m) if dialect["projection"] == "yes" else m
    return y, {"h": y, "c": c}


def rnn(x: Any, R: Any, p: Any, s: Any, dialect: dict[str, str]) -> tuple[Array, dict[str, Array]]:
    v = x["n"] + R["n"](s["h"])
    h = np.tanh(v) if dialect["activation"] == "tanh" else v * (v > 0)
    return h, {"h": h}


def mingru(x: Any, R: Any, p: Any, s: Any, dialect: dict[str, str]) -> tuple[Array, dict[str, Array]]:
    z = sigmoid(x["z"])
    h = (1 - z) * s["h"] + z * x["n"]
    return h, {"h": h}


PAPERS: dict[str, Callable[..., tuple[Array, dict[str, Array]]]] = {
    "gru": gru,
    "lstm": lstm,
    "rnn": rnn,
    "mingru": mingru,
}


def test_every_cell_has_its_paper_here() -> None:
    assert set(PAPERS) == set(cells.names())


@pytest.mark.parametrize(("name", "dialect"), ALL, ids=NAMES)
def test_a_dialect_is_the_equation_of_its_paper(name: str, dialect: dict[str, str]) -> None:
    cell, rng = cells.load(name, dialect), np.random.default_rng(7)
    inner = P if cell.tape.has_projection else H
    x = {g: rng.normal(size=(B, H)) for g in cell.gates}
    maps = {g: rng.normal(size=(H, inner)) for g in cell.recurrent} | {"project": rng.normal(size=(P, H))}
    R = {g: (lambda v, W=W: v @ W.T) for g, W in maps.items()}
    p = {n: rng.normal(size=flat_width(shape, H, P)) for n, shape in cell.params.items()}
    s = {n: rng.normal(size=(B, flat_width(shape, H, P))) for n, shape in cell.state.items()}
    y, following = interpret(cell.tape, NumpyOps, x, R, p, s)
    if dialect["norm"] == "layer":
        x = {g: standardise(v) * p[f"gain_x_{g}"] + p[f"bias_x_{g}"] for g, v in x.items()}
        R |= {
            g: (lambda v, g=g, f=R[g]: standardise(f(v)) * p[f"gain_h_{g}"] + p[f"bias_h_{g}"]) for g in cell.recurrent
        }
    expected, last = PAPERS[name](x, R, p, s, cell.dialect)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert set(following) == set(last)
    for state, value in last.items():
        np.testing.assert_allclose(following[state], value, rtol=1e-12, atol=1e-12)


def test_the_default_comes_first_and_every_tape_is_another() -> None:
    for name in cells.names():
        found = cells.list_dialects(name)
        assert cells.load(name).dialect == found[0]
        tapes = [str(cells.load(name, dialect).tape.to_json()) for dialect in found]
        assert len(set(tapes)) == len(tapes)


def test_a_bias_is_a_dialect_without_a_tape_of_its_own() -> None:
    without = cells.load("gru", {"bias": "no"})
    assert without.dialect["bias"] == "no"
    assert without.tape == cells.load("gru").tape


def test_a_gru_has_three_quarters_of_the_weights_of_an_lstm() -> None:
    gates = {name: len(cells.load(name).gates) for name in ("gru", "lstm")}
    maps = {name: len(cells.load(name).recurrent) for name in ("gru", "lstm")}
    assert 4 * gates["gru"] == 3 * gates["lstm"]
    assert 4 * maps["gru"] == 3 * maps["lstm"]


def test_a_users_cell_is_normed_too_and_may_have_dialects_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "GATES, RECURRENT, DIALECTS = ('n',), ('n',), {'leak': ('no', 'yes')}\n"
        "def STATE(leak): return {'h': ('H',)}\n"
        "def PARAMS(leak): return {'keep': ('H',)} if leak == 'yes' else {}\n"
        "def step(op, x, R, p, s, leak):\n"
        "    h = op.tanh(x.n + R.n(s.h))\n"
        "    h = p.keep * s.h + h if leak == 'yes' else h\n"
        "    return h, s.replace(h=h)\n"
    )
    plain, leaky = cells.load(str(path)), cells.load(str(path), {"leak": "yes", "norm": "layer"})
    assert plain.params == {}
    assert list(leaky.params) == ["keep", "gain_x_n", "bias_x_n", "gain_h_n", "bias_h_n"]
    assert leaky.init["gain_h_n"] == 1.0
    assert sum(i.name == "norm" for i in leaky.tape.instructions) == 2
    with pytest.raises(CellError, match="leak is 'maybe'; choose one of no, yes"):
        cells.load(str(path), {"leak": "maybe"})


@pytest.mark.parametrize(
    ("dialect", "sentence"),
    [
        ({"resett": "after"}, "cell gru: unknown dialect 'resett'; choose from reset, update, norm, bias"),
        ({"reset": "during"}, "cell gru: reset is 'during'; choose one of after, before"),
    ],
)
def test_an_unknown_dialect_names_the_known(dialect: dict[str, str], sentence: str) -> None:
    with pytest.raises(CellError) as caught:
        cells.load("gru", dialect)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["reset", "reset=", "=after", "reset=after,reset=before", "reset=after,,"])
def test_a_dialect_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(
        CellError,
        match="is not of the form key=value; write, for example, reset=|sets reset a second time",
    ):
        cells.parse_dialect(text)

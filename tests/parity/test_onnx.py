"""ONNX graphs in onnxruntime against the float64 reference: every cell and stack, for several batches and lengths."""

from __future__ import annotations

import random as standard
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import cells
from tidegate.cells import Cell
from tidegate.formats import onnx as format_onnx
from tidegate.formats.onnx import proto
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.verify import attach, verify
from tidegate.verify import onnx_target as target
from tidegate.verify.error_propagation import bound_sequence, flatten_state, run_reference
from tidegate.verify.mutants import mutants
from tidegate.verify.replay import Replay
from tidegate.verify.samples import build_model, sample

sys.path.insert(0, str(Path(__file__).parent))
from random_tapes import random_tape

ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

Array = np.ndarray[Any, Any]
EVERY = ("last", "mean", "max", "attention")
BATCHES = ((1, 1), (2, 2), (9, 33))
DIALECTS = [(cell, dialect) for cell in cells.names() for dialect in cells.list_dialects(cell)]


def is_long(cell: str, dialect: dict[str, str]) -> bool:
    """Tell whether the equation of a cell is long, so that its bounds take a while."""
    return cell == "lstm" and dialect["norm"] == "layer"


STACKS: dict[str, dict[str, Any]] = {
    "scaled numbers": {"features": 5, "size": 9, "over": ("last",), "scale": True},
    "text, every pool": {"size": 12, "over": EVERY, "norm": True, "dense": "tanh"},
    "two layers": {"features": 5, "size": 9, "depth": 2, "over": ("max", "attention")},
    "dense alone": {"features": 3, "size": 8, "cell": None, "over": ("mean", "max"), "dense": "relu"},
    "the state alone": {"features": 4, "size": 8, "over": (), "outputs": None, "softmax": False},
    "conv": {"features": 3, "size": 8, "conv": 3, "over": EVERY},
    "conv of one step": {"features": 3, "size": 8, "conv": 1, "cell": None},
    "conv centred": {"features": 3, "size": 8, "conv": 4, "centred": True, "over": EVERY},
    "bidirectional": {"size": 8, "direction": "both", "depth": 2, "over": EVERY},
    "several ids": {"size": 6, "ids": 3, "over": ("mean",), "dense": "tanh"},
    "several ids, bidirectional": {"size": 6, "ids": 6, "direction": "both"},
    "bidirectional by a scan": {"features": 3, "size": 8, "direction": "both", "cell": "mingru", "norm": True},
}
OWN_CELL = """
GATES, RECURRENT = ("a", "b"), ("b",)
STATE = {"h": ("H",), "slow": (2, "H"), "beat": (1,)}
PARAMS = {"mix": (2, "H"), "rate": (1,), "scale": ("H",)}


def step(op, x, R, p, s):
    slow = op.minimum(op.maximum(s.slow * 0.9 + p.mix, -1.0), 1.0)
    beat = op.sigmoid(s.beat + p.rate)
    h = op.tanh(x.a + R.b(op.abs(s.h))) / (1.0 + op.exp(-x.b)) - beat * p.scale + op.relu(-op.norm(s.h))
    return h * 0.5, s.replace(h=h, slow=slow, beat=beat)
"""
UNUSED_CELL = """
GATES, RECURRENT, STATE, PARAMS = ("a", "b", "c"), ("m", "n"), {"h": ("H",)}, {"idle": ("H",)}


def step(op, x, R, p, s):
    h = op.tanh(x.b + R.n(s.h))
    return h, s.replace(h=h)
"""
STATELESS_CELL = """
GATES, RECURRENT, STATE = ("a", "b"), ("m",), {}


def step(op, x, R, p, s):
    return op.tanh(x.a) * op.sigmoid(x.b) + R.m(op.tanh(x.a)), s
"""


def drawn(model: Model, T: int, B: int, seed: int = 0) -> tuple[Array, Array]:
    """Return the input [T, B, ...] and lengths [B], the first T; numbers past the length of a row are NaN."""
    random, entry = np.random.default_rng(seed), model.document["inputs"]["x"]
    least = 1 if model.whole_window else 0
    lengths = random.integers(least, T, B, dtype=np.int32, endpoint=True)
    lengths[0] = T
    if entry["kind"] == "text":
        several = [model.layers[0].ids] if model.layers[0].ids > 1 else []
        return random.integers(0, entry["size"], (T, B, *several), dtype=np.int32), lengths
    x = random.standard_normal((T, B, entry["features"])).astype(np.float32)
    x[np.arange(T)[:, None] >= lengths] = np.nan
    return x, lengths


def within(model: Model, x: Array, found: dict[str, Array], state: dict[str, Array], row: int, length: int) -> None:
    """Compare one row's outputs, last output and states with the reference, within its bound."""
    run = run_reference(target.rewrite_grus(model), x[:length, row])
    bound = bound_sequence(target.rewrite_grus(model), run, target.activation_errors(model))
    assert (abs(found["output"][row] - run.outputs[-1]) <= bound.output).all()
    if state:
        numbers = flatten_state({name: state[name][row] for name in run.last})
        assert (abs(numbers - flatten_state(run.last)) <= bound.state).all()
        assert state["steps"][row] == length
    if "y" in found:
        assert np.array_equal(found["y"][length - 1, row], found["output"][row])


def same(one: tuple[dict[str, Array], ...], other: tuple[dict[str, Array], ...]) -> None:
    """The second run of a session has the bits of its first."""
    for a, b in zip(one, other, strict=True):
        assert {name: v.tobytes() for name, v in a.items()} == {name: v.tobytes() for name, v in b.items()}


def check_sequence(model: Model, T: int, B: int) -> None:
    session, (x, lengths) = target.OnnxSession(model, "sequence"), drawn(model, T, B)
    found, state = session.run(x, session.initial_state(B), lengths)
    same((found, state), session.run(x, session.initial_state(B), lengths))
    y, _ = Reference(model).run(np.where(np.isnan(x), 0, x) if x.ndim == 3 else x, lengths)
    assert (abs(np.nan_to_num(y) - found["y"]) < 1e-4).all()
    assert (found["y"][np.isnan(y)] == 0).all()
    for row in {0, B // 2, B - 1}:
        if lengths[row]:
            within(model, x, found, state, row, int(lengths[row]))
    first = session.initial_state(B)
    for row in np.flatnonzero(lengths == 0):
        assert (found["output"][row] == 0).all()
        assert all(np.array_equal(v[row], first[name][row]) for name, v in state.items())


def check_steps(model: Model, T: int, B: int) -> None:
    session, (x, _) = target.OnnxSession(model, "step"), drawn(model, T, B)
    x, state = np.nan_to_num(x, nan=0.25) if x.ndim == 3 else x, session.initial_state(B)
    for one in x:
        found, state = session.run(one, state)
    for row in {0, B - 1}:
        within(model, x, found, state, row, T)


def check_pieces(model: Model, T: int, B: int) -> None:
    """A sequence in two pieces, with the states of the first fed to the second, and a step after that."""
    session, (x, _) = target.OnnxSession(model, "sequence"), drawn(model, T, B)
    x, lengths, cut = np.nan_to_num(x, nan=0.25) if x.ndim == 3 else x, np.full(B, T, np.int32), T // 2
    _, state = session.run(x[:cut], session.initial_state(B), lengths // 2)
    _, state = session.run(x[cut:-1], state, lengths - lengths // 2 - 1)
    found, state = target.OnnxSession(model, "step").run(x[-1], state)
    for row in {0, B - 1}:
        within(model, x, found, state, row, T)


def check_all(model: Model) -> None:
    for T, B in BATCHES:
        check_sequence(model, T, B)
        if not model.whole_window:
            check_steps(model, T, B)
    if not model.whole_window:
        check_pieces(model, 7, 3)


@pytest.mark.parametrize(
    ("cell", "dialect"),
    [pytest.param(*each, marks=pytest.mark.slow) if is_long(*each) else each for each in DIALECTS],
    ids=lambda v: v if isinstance(v, str) else "-".join(v.values()),
)
def test_every_cell_stays_within_its_bound(cell: str, dialect: dict[str, str]) -> None:
    check_all(sample(seed=3, features=3, size=7, cell=cell, dialect=dialect, over=(), outputs=3, softmax=False))


@pytest.mark.parametrize("stack", STACKS)
def test_stacks_stay_within_their_bound(stack: str) -> None:
    check_all(sample(seed=4, **STACKS[stack]))


@pytest.mark.parametrize(
    "code", [OWN_CELL, UNUSED_CELL, STATELESS_CELL], ids=["many shapes", "unused gates", "no state"]
)
@pytest.mark.parametrize("kind", ["recurrent", "bidirectional"])
def test_a_users_cell(code: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(code)
    check_all(own(cells.load(str(tmp_path / "own.py")), kind))


def own(cell: Cell, kind: str) -> Model:
    builder = Builder(3)
    builder.add(kind, size=6, tape=builder.add_tape(cell), cell=cell.name, dialect={})
    return build_model(builder.layers, 5, 3, None)


@pytest.mark.slow
def test_a_long_sequence() -> None:
    model = sample(seed=3, features=3, size=6, over=("attention",), outputs=3)
    check_sequence(model, 500, 2)
    check_steps(model, 500, 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.booleans(), st.sampled_from((1, 2, 5)))
def test_any_tape(seed: int, projected: bool, size: int) -> None:
    tape = random_tape(seed, projected, steps=standard.Random(seed).randrange(1, 40))
    builder = Builder(2)
    builder.tapes["own"] = tape
    builder.add("recurrent", size=size, tape="own", cell="own", dialect={}, **({"project": 3} if projected else {}))
    model = build_model(builder.layers, seed, 2, None)
    results = list(target.verify_onnx(Replay(attach(model, lengths=(1, 5)))))
    assert [r.path for r in results] == ["onnxruntime sequence", "onnxruntime step"]
    assert all(r.ok for r in results), results


@pytest.mark.parametrize("length", [1, 37])
def test_every_mutant_exceeds_the_bound(length: int) -> None:
    replay = Replay(attach(sample(seed=3, features=8, size=8), lengths=(length,)))
    limits = target.bound_cases(replay)
    for what, wrong in mutants(replay.model).items():
        for mode in format_onnx.MODES:
            session = target.OnnxSession(wrong, mode)
            out, state = (
                session.run_chunks(replay.x[0], [length]) if mode == "sequence" else session.run_steps(replay.x[0])[-1]
            )
            answers = [replay.subsample(out.astype(np.float64), flatten_state(state))]
            ratio = replay.compare("onnx", mode, answers, limits).ratio
            assert ratio is not None
            assert ratio > 10, (what, mode)


def test_verify_runs_both_graphs() -> None:
    results = [r for r in verify(attach(sample(features=3, size=8))) if r.target == "onnx"]
    assert [(r.path, r.verdict, r.ran, r.ok) for r in results] == [
        ("onnxruntime sequence", "ok", True, True),
        ("onnxruntime step", "ok", True, True),
    ]
    assert all(r.ratio is not None and 0 < r.ratio < 1 for r in results)
    results = [r for r in verify(attach(sample(features=3, size=8, direction="both"))) if r.target == "onnx"]
    assert [(r.path, r.verdict, r.chunks) for r in results] == [("onnxruntime sequence", "ok", None)]


# --- the constants


def floats() -> Array:
    """Return every 4001st float32 of at most 104 in size, and an even grid."""
    least, most = (int(np.float32(v).view(np.int32)) for v in (1e-38, 104))
    some = np.arange(least, most, 4001, dtype=np.int32).view(np.float32)
    return np.concatenate([-some, some, np.linspace(-104, 104, 100_001, dtype=np.float32)])


def one_node(op: str, feeds: dict[str, Array | None], outputs: int, take: int, **attributes: Any) -> Array:
    """Run one node in onnxruntime."""
    given = {k: v for k, v in feeds.items() if v is not None}
    node = proto.node(op, [k if v is not None else "" for k, v in feeds.items()], map(str, range(outputs)), attributes)
    ends = [proto.value(k, "float32", [f"{k}{i}" for i in range(v.ndim)]) for k, v in given.items()]
    rank = (4 if take == 0 else 3) if outputs > 1 else next(iter(given.values())).ndim
    graph = proto.graph("one", [node], ends, [proto.value(str(take), "float32", [f"y{i}" for i in range(rank)])])
    options = ort.SessionOptions()
    options.log_severity_level = 3
    data = b"".join(proto.model(graph, "", "", {}))
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, given)[0]).reshape(-1)


def recurrent(op: str, v: Array, weights: list[float], biases: list[float], take: int, **more: Any) -> Array:
    """Run a node of one unit over a batch of inputs v, without recurrent weights. take: which output."""
    states = {name: np.full((1, len(v), 1), fill, np.float32) for name, fill in more.pop("first").items()}
    G = len(weights)
    W, R = np.array(weights, np.float32).reshape(1, G, 1), np.zeros((1, G, 1), np.float32)
    B = np.array([biases + [0.0] * G], np.float32)
    feeds = {"x": v.reshape(1, -1, 1), "w": W, "r": R, "b": B, "lengths": None, **states}
    return one_node(op, feeds, 1 + len(states), take, hidden_size=1, **more)


def relative(found: Array, exact: Array) -> float:
    return float((np.maximum(abs(found - exact) - 2.0**-126, 0) / np.maximum(abs(exact), 1e-300)).max())


def test_onnxruntimes_constants_hold() -> None:
    v = floats()
    exact = v.astype(np.float64)
    sigmoid, tanh = 0.5 + 0.5 * np.tanh(0.5 * exact), np.tanh(exact)
    ORT, h, hc = target.ORT_ERRORS, {"h": 0.0}, {"h": 0.0, "c": 0.0}
    gates = {
        "Sigmoid": one_node("Sigmoid", {"x": v}, 1, 0),
        "GRU z": recurrent("GRU", v, [1, 0, 0], [0, 0, 0], 1, first={"h": 1.0}),
        "LSTM f": recurrent("LSTM", v, [0, 0, 1, 0], [0, 0, 0, 0], 2, first={"h": 0.0, "c": 1.0}),
    }
    assert {what: e for what, y in gates.items() if (e := abs(y - sigmoid).max()) > ORT.sigmoid_abs} == {}
    tanhs = {
        "Tanh": one_node("Tanh", {"x": v}, 1, 0),
        "GRU n, reset after": recurrent("GRU", v, [0, 0, 1], [-100, 0, 0], 1, first=h, linear_before_reset=1),
        "GRU n, reset before": recurrent("GRU", v, [0, 0, 1], [-100, 0, 0], 1, first=h, linear_before_reset=0),
        "LSTM g": recurrent("LSTM", v, [0, 0, 0, 1], [100, 0, 0, 0], 2, first=hc),
    }
    assert {what: e for what, y in tanhs.items() if (e := relative(y, tanh)) > ORT.tanh_rel} == {}
    below = v[v < 88.7]
    assert relative(one_node("Exp", {"x": below}, 1, 0), np.exp(below.astype(np.float64))) <= ORT.exp_rel
    rnn = recurrent("RNN", v, [1], [0], 1, first=h, activations=["Tanh"])
    assert abs(rnn - tanh).max() <= target.RNN_TANH_ABS
    relu = recurrent("RNN", v, [1], [0], 1, first=h, activations=["Relu"])
    assert np.array_equal(relu, np.maximum(v, 0))

"""Every target against the reference: a correct model is within the derived bound, a wrong one exceeds it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from tidegate import _native, cells
from tidegate.model import Model
from tidegate.runtime import compile
from tidegate.verify import attach
from tidegate.verify.mutants import mutants, wrong_sums, wrong_variants
from tidegate.verify.native_target import run_cases
from tidegate.verify.replay import Replay, Result
from tidegate.verify.samples import sample
from tidegate.verify.torch_target import TORCH_ERRORS, verify_torch

LENGTHS = (1, 7, 100, 1000)
ALL_LENGTHS = [*LENGTHS[:-1], pytest.param(LENGTHS[-1], marks=pytest.mark.slow)]
LOOSEST = 2000  # a bound may be this many times the worst error: gamma_K assumes that K roundings never cancel
STACKS: dict[str, dict[str, Any]] = {
    "scaled numbers": {"features": 5, "size": 9, "over": ("last",), "scale": True},
    "text, every pool": {
        "size": 24,
        "over": ("last", "mean", "max", "attention"),
        "norm": True,
        "dense": "tanh",
    },
    "two layers": {"features": 5, "size": 17, "depth": 2, "over": ("max", "attention")},
    "dense alone": {"features": 3, "size": 8, "cell": None, "over": ("mean", "max"), "dense": "relu"},
    "no pool, no softmax": {"features": 4, "size": 16, "over": (), "dense": "sigmoid", "softmax": False},
    "the state alone": {"features": 4, "size": 16, "over": (), "outputs": None, "softmax": False},
}


DIALECTS = [(cell, dialect) for cell in cells.names() for dialect in cells.list_dialects(cell)]
DIALECT_NAMES = ["-".join([cell, *dialect.values()]) for cell, dialect in DIALECTS]
STACKS |= {
    "residual, projected": {"features": 4, "size": 12, "cell": "lstm", "dialect": {"projection": "yes"}, "depth": 2},
    "several ids": {"size": 16, "ids": 3, "over": ("mean",), "dense": "tanh"},
    "embed of several ids alone": {"size": 8, "ids": 6, "cell": None, "over": (), "outputs": None, "softmax": False},
    "text, minimal": {"size": 16, "cell": "mingru", "dialect": {"norm": "layer"}, "over": ("mean",)},
}


def replay_of_dialect(cell: str, dialect: dict[str, str], length: int) -> Replay:
    return replay_of(length, seed=4, features=6, size=11, cell=cell, dialect=dialect)


def replay_of(length: int, **options: Any) -> Replay:
    return replay_of_text(length, json.dumps(options))


@cache
def replay_of_text(length: int, options: str) -> Replay:
    return Replay(attach(sample(**{"seed": 3, **json.loads(options)}), lengths=(length,)))


def judged(replay: Replay, model: Model, target: str, fused: bool = True) -> Result:
    """Run a model on a target, and compare it with the answers and bounds of the replay."""
    answers = replay.to_answers(run_cases(replay, compile(model, target, fused)))
    bounds = replay.target_bounds(target)
    return replay.compare(target, "fused" if fused else "interpreter", answers, bounds)


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("length", ALL_LENGTHS)
@pytest.mark.parametrize("size", [5, 32, 65])
@pytest.mark.parametrize("cell", cells.names())
def test_every_cell_stays_within_its_bound(cell: str, size: int, length: int, target: str) -> None:
    replay = replay_of(length, features=8, size=size, cell=cell)
    result = judged(replay, replay.model, target)
    assert result.ok, result
    assert result.bound is not None
    assert 0 < result.bound < 1e-2
    assert judged(replay, replay.model, target, fused=False) == Result(**{**vars(result), "path": "interpreter"})


@pytest.mark.parametrize("length", [1, 7, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("cell", "dialect"), DIALECTS, ids=DIALECT_NAMES)
def test_every_dialect_stays_within_its_bound(cell: str, dialect: dict[str, str], length: int) -> None:
    replay = replay_of_dialect(cell, dialect, length)
    for target in _native.targets():
        result = judged(replay, replay.model, target)
        assert result.ok, result
        assert judged(replay, replay.model, target, fused=False) == Result(**{**vars(result), "path": "interpreter"})


@pytest.mark.parametrize(("cell", "dialect"), DIALECTS, ids=DIALECT_NAMES)
def test_torch_stays_within_the_bound_of_every_dialect(cell: str, dialect: dict[str, str]) -> None:
    pytest.importorskip("torch")
    result = verify_torch(replay_of_dialect(cell, dialect, 7))
    assert result.ran
    assert result.ok, result


@pytest.mark.parametrize(("cell", "dialect"), DIALECTS, ids=DIALECT_NAMES)
def test_a_mistaken_dialect_exceeds_the_bound(cell: str, dialect: dict[str, str]) -> None:
    target = _native.targets()[0]
    for length in (1, 7):
        replay = replay_of_dialect(cell, dialect, length)
        found = {what: judged(replay, wrong, target).ratio for what, wrong in wrong_variants(replay.model).items()}
        assert found
        assert {what: ratio for what, ratio in found.items() if not ratio or ratio < 10} == {}


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("length", [1, 37])
@pytest.mark.parametrize("stack", STACKS)
def test_stacks_stay_within_their_bound(stack: str, length: int, target: str) -> None:
    replay = replay_of(length, **STACKS[stack])
    result = judged(replay, replay.model, target)
    assert result.ok, result


@pytest.mark.parametrize("stack", STACKS)
def test_torch_stays_within_its_bound(stack: str) -> None:
    pytest.importorskip("torch")
    result = verify_torch(replay_of(37, **STACKS[stack]))
    assert result.ran
    assert result.ok, result


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("length", ALL_LENGTHS)
@pytest.mark.parametrize("size", [8, 32])
def test_every_mutant_exceeds_the_bound(size: int, length: int, target: str) -> None:
    replay = replay_of(length, features=8, size=size, cell="gru")
    ratios = {what: judged(replay, wrong, target).ratio for what, wrong in mutants(replay.model).items()}
    assert len(ratios) == 6
    assert {what: ratio for what, ratio in ratios.items() if not ratio or ratio < 10} == {}


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("length", [1, 37])
@pytest.mark.parametrize("stack", ["several ids", "embed of several ids alone"])
def test_mistaken_sums_of_rows_exceed_the_bound(stack: str, length: int, target: str) -> None:
    replay = replay_of(length, **STACKS[stack])
    for what, wrong in wrong_sums(replay.model).items():
        ratio = judged(replay, wrong, target).ratio
        assert ratio is not None
        assert ratio > 10, what


@pytest.mark.parametrize("stack", ["text, every pool", "two layers"])
def test_mutants_exceed_the_bound_of_a_stack(stack: str) -> None:
    replay = replay_of(37, **STACKS[stack])
    for what, wrong in mutants(replay.model).items():
        assert not judged(replay, wrong, _native.targets()[0]).ok, what


@pytest.mark.parametrize("length", [pytest.param(n, marks=pytest.mark.slow) if n > 100 else n for n in LENGTHS])
def test_the_bound_is_not_absurdly_loose(length: int) -> None:
    replay = replay_of(length, features=8, size=32, cell="gru")
    result = judged(replay, replay.model, "base")
    assert result.error is not None
    assert result.bound is not None
    assert result.ratio is not None
    assert result.ratio > 1 / LOOSEST
    assert result.bound < LOOSEST * result.error


def test_torchs_constants_hold() -> None:
    torch_module = pytest.importorskip("torch")
    import numpy as np

    v = np.linspace(-12, 12, 200_001).astype(np.float32)
    exact, given = v.astype(np.float64), torch_module.from_numpy(v)
    sigmoid = abs(torch_module.sigmoid(given).numpy() - 1 / (1 + np.exp(-exact)))
    tanh = abs(torch_module.tanh(given).numpy() - np.tanh(exact)) / np.maximum(abs(np.tanh(exact)), 1e-30)
    exp = abs(torch_module.exp(given).numpy() - np.exp(exact)) / np.exp(exact)
    assert sigmoid.max() <= TORCH_ERRORS.sigmoid_abs
    assert tanh.max() <= TORCH_ERRORS.tanh_rel
    assert exp.max() <= TORCH_ERRORS.exp_rel

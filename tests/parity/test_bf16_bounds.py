"""bfloat16 against the reference: a correct model is within its bound, a wrong one exceeds it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from tidegate import _native, cells
from tidegate.model import Model
from tidegate.runtime import Predictor
from tidegate.runtime.offline import make_runner
from tidegate.runtime.precision import COMPUTE_BF16, WEIGHTS_BF16, round_weights, to_arguments
from tidegate.verify import attach, verify
from tidegate.verify.mutants import mutants, wrong_variants
from tidegate.verify.native_target import verify_engine
from tidegate.verify.replay import NO_BOUND, Replay, Result
from tidegate.verify.samples import sample

RUNS = [(target, precision) for precision in (WEIGHTS_BF16, COMPUTE_BF16) for target in _native.targets(precision)]
EACH = pytest.mark.parametrize(("target", "precision"), RUNS)
LENGTHS = (1, 7, 100)
ALL_LENGTHS = [*LENGTHS[:-1], pytest.param(LENGTHS[-1], marks=pytest.mark.slow)]
STACKS: dict[str, dict[str, Any]] = {
    "text, every pool": {"size": 24, "over": ["last", "mean", "max", "attention"], "norm": True, "dense": "tanh"},
    "two layers, conv": {"features": 5, "size": 17, "depth": 2, "conv": 3, "over": ["max"]},
    "projected": {"features": 4, "size": 12, "cell": "lstm", "dialect": {"projection": "yes"}},
    "several ids": {"size": 16, "ids": 3, "over": ["mean"], "dense": "tanh"},
    "both ways": {"size": 9, "direction": "both", "over": ["mean"]},
    "centred": {"features": 3, "size": 8, "conv": 5, "centred": True},
}


def replay_of(precision: str, length: int, **options: Any) -> Replay:
    return replay_of_text(precision, length, json.dumps(options))


@cache
def replay_of_text(precision: str, length: int, options: str) -> Replay:
    return Replay(attach(sample(seed=3, **json.loads(options)), lengths=(length,)), precision)


def judged(replay: Replay, model: Model, target: str, precision: str | None = None) -> Result:
    """Run a model on a target, in the precision of the replay by default, and compare with the replay's answers."""
    precision = replay.precision if precision is None else precision
    if target not in _native.targets(precision):
        target = _native.targets(precision)[0]
    return verify_engine(replay, make_runner(model, target, **to_arguments(precision)), target, precision)


def ratio(result: Result) -> float:
    """Return the largest ratio of an error to its bound, in the whole or in a step."""
    return max(result.ratio or 0.0, result.step_ratio or 0.0)


@EACH
@pytest.mark.parametrize("length", ALL_LENGTHS)
@pytest.mark.parametrize("size", [5, 65])
@pytest.mark.parametrize("cell", cells.names())
def test_every_cell_stays_within_its_bound(cell: str, size: int, length: int, target: str, precision: str) -> None:
    replay = replay_of(precision, length, features=8, size=size, cell=cell)
    result = judged(replay, replay.model, target)
    assert result.ok, result
    assert result.bound is not None
    assert 0 < result.bound < (1e-3 if precision == WEIGHTS_BF16 else 2)
    assert result.moved is not None
    assert 1e-5 < result.moved < 0.1


@EACH
@pytest.mark.parametrize("length", [1, 37])
@pytest.mark.parametrize("stack", STACKS)
def test_stacks_stay_within_their_bound(stack: str, length: int, target: str, precision: str) -> None:
    replay = replay_of(precision, length, **STACKS[stack])
    result = judged(replay, replay.model, target)
    if replay.model.whole_window and precision == COMPUTE_BF16:  # there are no steps, and the whole amplifies too much
        assert result.ok or (result.ok, result.verdict) == (None, NO_BOUND), result
        return
    assert result.ok, result


@EACH
@pytest.mark.parametrize("length", ALL_LENGTHS)
def test_every_mutant_exceeds_the_bound(length: int, target: str, precision: str) -> None:
    replay = replay_of(precision, length, features=8, size=32)
    least = 100 if precision == WEIGHTS_BF16 else 1
    ratios = {what: ratio(judged(replay, wrong, target)) for what, wrong in mutants(replay.model).items()}
    assert len(ratios) == 6
    assert {what: found for what, found in ratios.items() if found <= least} == {}


@pytest.mark.parametrize("cell", cells.names())
def test_a_mistaken_cell_exceeds_the_bound_of_rounded_weights(cell: str) -> None:
    replay = replay_of(WEIGHTS_BF16, 7, features=6, size=11, cell=cell)
    found = {what: ratio(judged(replay, wrong, "base")) for what, wrong in wrong_variants(replay.model).items()}
    assert found
    assert {what: r for what, r in found.items() if r < 10} == {}


def cut(values: Any) -> Any:
    """Return the upper half of each number, rounded towards zero."""
    return (np.ascontiguousarray(values).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def test_weights_that_are_rounded_otherwise_exceed_the_bound() -> None:
    """Rounding not at all, towards zero, the biases too, or the operands too."""
    replay = replay_of(WEIGHTS_BF16, 7, features=8, size=32)
    model = replay.model
    used = [(layer.use(role), name) for layer in model.layers for role, name in layer.tensors.items()]
    weights, biases = ({n for use, n in used if (use in ("matrix", "table")) == which} for which in (True, False))
    assert weights
    assert biases
    by_cut = Model(model.document, {k: cut(v) if k in weights else v for k, v in model.tensors.items()})
    more = Model(model.document, {k: cut(v) if k in biases else v for k, v in model.tensors.items()})
    wrong = {
        "not rounded": judged(replay, model, "base", "float32"),
        "towards zero": judged(replay, by_cut, "base"),
        "biases too": judged(replay, more, "base"),
        "activations too": judged(replay, model, "base", COMPUTE_BF16),
    }
    assert {what: result for what, result in wrong.items() if ratio(result) < 10} == {}
    assert judged(replay, round_weights(model), "base", "float32").ok


def test_the_bound_of_rounded_activations_is_not_absurdly_loose() -> None:
    for length in LENGTHS:
        replay = replay_of(COMPUTE_BF16, length, features=8, size=32)
        assert ratio(judged(replay, replay.model, "base")) > 1 / 200


def test_weights_that_an_instruction_takes_for_zero_stay_within_the_bound() -> None:
    """Numbers below 2^-126, times large ones."""
    model = sample(features=3, cell=None, over=(), outputs=4, softmax=False, scale=True)
    small = {role: model.layers[i].tensors[role] for i, role in ((0, "deviation"), (1, "weight"), (1, "bias"))}
    values = {"deviation": 1e-3, "weight": 1e-39, "bias": 0.0}
    changed = {name: np.full_like(model.tensors[name], values[role]) for role, name in small.items()}
    found = verify(attach(Model(model.document, {**model.tensors, **changed})), compute="bf16")
    assert [result.target for result in found if not result.ok] == []


def test_a_predictors_own_precision_is_verified() -> None:
    model = attach(sample(features=3, size=4), lengths=(3,))
    for precision in (WEIGHTS_BF16, COMPUTE_BF16):
        predictor = Predictor(model, **to_arguments(precision))
        assert verify(predictor) == verify(model, **to_arguments(precision))
        assert verify(predictor, weights="float32") == verify(model)


def test_verify_lists_every_target_of_a_precision() -> None:
    model = attach(sample(features=3, size=4), lengths=(3,))
    for precision in (WEIGHTS_BF16, COMPUTE_BF16):
        found = [r for r in verify(model, **to_arguments(precision)) if r.ran]  # this CPU lacks the others
        assert [r.target for r in found if r.path.startswith("fused")] == _native.targets(precision)
        assert {r.path for r in found} == {"float64", f"fused, {precision}", f"interpreter, {precision}"}
        assert all(r.ok for r in found)
        assert {r.chunks for r in found[1:]} == {True}
    assert all(r.moved is None for r in verify(model))

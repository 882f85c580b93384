"""tidegate's side of the speed benchmarks: its engine's steps, sequences and pools, and their errors from float64."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import _native
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.runtime import compile
from tidegate.runtime.precision import FLOAT32, resolve_precision, round_weights
from tidegate.verify.error_propagation import bound_sequence, bound_steps, run_reference
from tidegate.verify.native_target import run_steps
from tidegate.verify.replay import state_arrays, target_errors
from tidegate.verify.samples import sample

from .cases import Case
from .interleaved import Work

Float = npt.NDArray[np.float32]
BOUNDED = 32  # steps of the first row that are compared with their bound


def make_model(case: Case) -> Model:
    """Make a model of one recurrent layer with random weights."""
    layers = {"cell": case.cell, "dialect": case.dialect, "over": (), "outputs": None, "softmax": False}
    return sample(features=case.inputs, size=case.size, **layers)


def make_inputs(case: Case) -> Float:
    """Draw inputs [T, B, I]."""
    return np.random.default_rng(0).standard_normal((case.steps, case.rows, case.inputs)).astype(np.float32)


def run_float64(case: Case, of: Model, x: Float) -> npt.NDArray[np.float64]:
    """Run x in float64, and return what `Work.result` of the case returns."""
    outputs = Reference(of).run(x)[0]
    return outputs[-1] if case.stepwise else outputs


def compile_model(case: Case, of: Model) -> _native.Engine:
    return compile(of, **case.precision)


def engine_name(engine: _native.Engine) -> str:
    return f"tidegate {engine.target}"


def make_work(case: Case, of: Model, engine: _native.Engine, x: Float, threads: int = 1) -> Work:
    """Make the work: single steps use a stepper, and a pool's steps its own call, as streams and pools do."""
    (T, B), H = x.shape[:2], case.size
    states, out = np.zeros((B, of.state_bytes), np.uint8), np.zeros((B, H), np.float32)
    if case.kind == "sequence":
        lengths, last, every = np.full(B, T, np.int32), np.zeros_like(states), np.zeros((T, B, H), np.float32)
        return Work(lambda: engine.run(x, lengths, states, last, every, True, threads), lambda: every)
    if case.kind == "pool":
        batches, ids = itertools.cycle(list(x)), np.arange(B)
        return Work(lambda: engine.step_many(ids, next(batches), states, out, threads), lambda: out)
    rows, stepper = itertools.cycle(list(x[:, 0])), _native.Stepper(engine, states[0], out[0])
    return Work(lambda: stepper.step(next(rows)), lambda: out)


def check_bound(case: Case, of: Model, engine: _native.Engine, x: Float) -> dict[str, Any]:
    """Return the first row's largest error after its first steps, its bound, and the largest ratio of an error to its
    bound. Ends the benchmark where an error exceeds its bound.

    Where weights are rounded, the float64 run that this error is measured from has the rounded weights too, unlike that
    of `run_float64`.
    """
    precision = resolve_precision(**case.precision)
    known = of if precision == FLOAT32 else round_weights(of)
    errors = target_errors(engine.target, precision)
    row = np.ascontiguousarray(x[:BOUNDED, :1])
    run = run_reference(known, row[:, 0])
    state, out = np.zeros((1, of.state_bytes), np.uint8), np.zeros((1, case.size), np.float32)
    engine.run(row, np.array([len(row)], np.int32), state, np.zeros_like(state), out, False, 1)
    error = abs(out[0] - run.outputs[-1])
    limit = bound_sequence(known, run, errors).output
    if np.isinf(limit).any():  # bfloat16 has no bound for the whole run, so each step is compared on its own
        pairs = run_steps(engine, state[0], row[:, 0])
        states = [state_arrays(known, block) for block in (state[0], *(block for _, block in pairs))]
        error, limit = bound_steps(known, row[:, 0], states, np.stack([y for y, _ in pairs]), errors)
    part = float((error / limit).max())
    if not part <= 1:
        raise SystemExit(f"{case.title}: an error is {part:.2f} times its bound; nothing is timed")
    figures = {"bound": float(limit[error.argmax()]), "of_bound": part}
    return figures if known is of else {"of_rounded": float(error.max()), **figures}

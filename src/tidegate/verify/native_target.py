"""The native targets: with fused kernels and with the interpreter, whole, in pieces and step by step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _native
from ..runtime.kept_steps import keep_steps, place_kept
from ..runtime.offline import OfflineEngine, make_runner
from ..runtime.precision import FLOAT32, to_arguments
from .replay import Array, Pair, Replay, Result, target_errors, to_bytes


def verify_native(replay: Replay) -> Iterator[Result]:
    """Run every native target that this build has."""
    for target in _native.compiled_targets(replay.precision):
        if target in _native.targets(replay.precision):
            yield from verify_target(replay, target)
        else:
            yield Result(target, "native", "not on this machine", ran=False)


def verify_target(replay: Replay, target: str) -> Iterator[Result]:
    """Run one native target with fused kernels, if the model has any, and with the interpreter: the same bits."""
    precision = "" if replay.precision == FLOAT32 else f", {replay.precision}"
    whole: dict[str, list[Pair]] = {}
    for path in ("fused", "interpreter"):
        engine = make_runner(replay.model, target, path == "fused", **to_arguments(replay.precision))
        if path == "fused" and not engine.fused_layers:
            continue
        whole[path] = run_cases(replay, engine)
        yield verify_engine(replay, engine, target, path + precision, whole[path])
    if "fused" in whole and list(map(to_bytes, whole["fused"])) != list(map(to_bytes, whole["interpreter"])):
        yield Result(target, "both", "fused kernel and interpreter differ", ok=False)


def verify_engine(
    replay: Replay, engine: _native.Engine | OfflineEngine, target: str, path: str, whole: list[Pair] | None = None
) -> Result:
    """Run an engine whole and, if the model streams, in pieces; step by step too, if its layers run so.

    whole: the run as a whole, if it exists already.
    """
    whole = run_cases(replay, engine) if whole is None else whole
    chunks: bool | None = None
    steps = None
    if isinstance(engine, _native.Engine):
        singles = [run_steps(engine, replay.initial_state[0], x) for x in replay.x]
        parts = (
            [run_steps_and_chunks(engine, replay.initial_state, x) for x in replay.x],
            [(pairs[-1][0], pairs[len(x) - 1][1]) for x, pairs in zip(replay.x, singles, strict=True)],
        )
        chunks = all(list(map(to_bytes, whole)) == list(map(to_bytes, pairs)) for pairs in parts)
        steps = replay.bound_steps(singles, target_errors(target, replay.precision))
    elif max(map(len, replay.x)) <= replay.model.keeps:
        kept = [run_kept(engine, replay.initial_state, x, replay.model.keeps) for x in replay.x]
        chunks = list(map(to_bytes, whole)) == list(map(to_bytes, kept))
    return replay.compare(target, path, replay.to_answers(whole), replay.target_bounds(target), chunks, steps)


def run_kept(engine: OfflineEngine, state: Array, x: Array, keeps: int) -> Pair:
    """Return the pair of a stream's end: it keeps chunks of growing size in its state, and runs them at the end."""
    kept = place_kept(keeps, x.shape[1:], x.dtype.name, state.shape[1])
    block, at, size = np.zeros(kept.end, np.uint8), 0, 1
    while at < len(x):
        block, at, size = keep_steps(kept, block, x[at : at + size]), at + size, 2 * size + 1
    return run_whole(engine, state, kept.read(block))


def run_cases(replay: Replay, engine: _native.Engine | OfflineEngine) -> list[Pair]:
    """Run each case of the check natively, each in one run."""
    return [run_whole(engine, replay.initial_state, x) for x in replay.x]


def run_whole(engine: _native.Engine | OfflineEngine, state: Array, x: Array) -> Pair:
    """Run a whole sequence from a state [1, state_bytes]; if outputs are late, once more up to its end for the last."""
    pair = run_chunks(engine, state, x, [len(x)])
    if not engine.look_ahead:
        return pair
    out, rows = np.empty((1, engine.outputs), np.float32), np.ascontiguousarray(x[:, None])
    engine.run(rows, np.array([len(x)], np.int32), state, np.empty_like(state), out, False, 1, True)
    return out[0], pair[1]


def run_chunks(engine: _native.Engine | OfflineEngine, state: Array, x: Array, sizes: list[int]) -> Pair:
    """Run a sequence in chunks of these sizes, from a state [1, state_bytes]; see `run_end` for late outputs."""
    out, at = np.empty((1, engine.outputs), np.float32), 0
    for size in sizes:
        last = np.empty_like(state)
        part = np.ascontiguousarray(x[at : at + size, None])
        engine.run(part, np.array([size], np.int32), state, last, out, False, 1)
        state, at = last, at + size
    return out[0], state[0]


def run_end(engine: _native.Engine, state: Array, x: Array) -> Array:
    """Return the outputs that follow the end of a sequence from its state [1, state_bytes]: [look-ahead, outputs].

    Where there is none, as after fewer steps than that, they are NaN.
    """
    out = np.full((engine.look_ahead, 1, engine.outputs), np.nan, np.float32)
    engine.run(x[:0, None].copy(), np.zeros(1, np.int32), state, np.empty_like(state), out, True, 1, True)
    return out[:, 0]


def run_steps(engine: _native.Engine, begin: Array, x: Array) -> list[Pair]:
    """Return the pair after each step, from a state [state_bytes], and one for each output that follows the last."""
    state, pairs = begin.copy(), []
    for k in range(len(x)):
        out = np.full(engine.outputs, np.nan, np.float32)
        engine.step(x[k : k + 1] if x.ndim == 1 else x[k], state, out)
        pairs.append((out, state.copy()))
    return [*pairs, *((out, state) for out in (run_end(engine, state[None], x) if engine.look_ahead else ()))]


def run_steps_and_chunks(engine: _native.Engine, begin: Array, x: Array) -> Pair:
    """Return the pair after the last step of a run by some single steps, then chunks of growing size."""
    state, out = begin.copy(), np.empty(engine.outputs, np.float32)
    singles = min(len(x), 5)
    for k in range(singles):
        engine.step(x[k : k + 1] if x.ndim == 1 else x[k], state[0], out)
    rest = len(x) - singles
    sizes: list[int] = []
    while sum(sizes) < rest:
        sizes.append(min(len(sizes) * 3 + 2, rest - sum(sizes)))
    if rest:
        out, state = (part[None] for part in run_chunks(engine, state, x[singles:], sizes))
    else:
        out = out[None]
    return (run_end(engine, state, x)[-1] if engine.look_ahead else out[0]), state[0]

"""onnxruntime as a target: the graphs of `tidegate export --to onnx`, whole, in pieces and in one batch.

The bound follows what onnxruntime computes, which differs from a native target in three ways:

- its functions have errors of their own, given below;
- GRU, LSTM and RNN nodes add W x + b and R h + c in one sum, so each term meets the roundings of both products;
- the update of the GRU node is (1 - z) n + z h, not n + z (h - n).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from ..cells import gru
from ..errors import MissingExtra, ModelFileError, TargetError
from ..formats.onnx import encode, whole_reason
from ..formats.onnx.standard import StandardNode, find_standard_node
from ..model import Model
from ..tape import Tape, trace
from .bounds import ActivationErrors
from .error_propagation import bound_steps, flatten_state
from .replay import Array, Bounds, Replay, Result

# Measured with onnxruntime 1.31 over floats of every size (tested in tests/parity/test_onnx.py): Sigmoid and the gates
# of GRU and LSTM 1.5e-7; Tanh and that of LSTM 2.6e-7, of GRU 6.0e-7, relative; Exp 7.2e-8, relative. The RNN node
# computes tanh from an exponential: 1.8e-7 absolute, however small the value.
ORT_ERRORS: Final = ActivationErrors(sigmoid_abs=2.4e-7, tanh_rel=9e-7, exp_rel=2.4e-7)
RNN_TANH_ABS: Final = 2.7e-7
ONE: Final = np.ones(1, np.int32)

State = dict[str, Array]
Pair = tuple[Array, State]  # last output float32 [O], and the state after it: name -> [1, *shape]


class OnnxSession:
    """A model's graph in onnxruntime, on one thread.

    Raises: MissingExtra without onnxruntime; ModelFileError for a model that ONNX cannot represent; TargetError for a
    graph that this onnxruntime cannot run.
    """

    def __init__(self, model: Model, mode: str) -> None:
        try:
            import onnxruntime as ort
        except ImportError:
            raise MissingExtra("onnxruntime is not installed; pip install 'tidegate[onnx]'") from None
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.schema, self.takes_one_step = [] if whole_reason(model, mode) else model.state_schema, mode == "step"
        self.look_ahead = model.look_ahead if self.takes_one_step else 0
        data = encode(model, mode)
        try:
            self.session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of many types, each a RuntimeError or an Exception of onnxruntime's own
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise TargetError(f"onnxruntime {ort.__version__} refuses the graph: {reason[:200]}") from error
        self.input = self.session.get_inputs()[0].name
        self.outputs = [v.name for v in self.session.get_outputs()]

    def initial_state(self, rows: int) -> State:
        """Return the state of `rows` new streams."""
        fills = {a["name"]: np.asarray(a.get("fill", 0), np.float64) for a in self.schema}
        return {a["name"]: np.full((rows, *a["shape"]), fills[a["name"]], a["dtype"]) for a in self.schema}

    def run(self, x: Array, state: State, lengths: Array | None = None, late: int = 0) -> tuple[State, State]:
        """Return outputs and next state, each by name.

        x: [T, B] or [T, B, features], with lengths int32 [B]; in mode step, [B] or [B, features] without. late: how
        many steps after the end of the rows, for a step whose answers are late.
        """
        inputs = {self.input: x, **state} | ({} if lengths is None else {"lengths": lengths})
        if self.look_ahead:
            inputs["late"] = np.array([late], np.int64)
        outputs: State = dict(zip(self.outputs, self.session.run(None, inputs), strict=True))
        next_state = {name: outputs.pop(f"next.{name}") for name in state}
        return outputs, next_state

    def run_chunks(self, x: Array, sizes: list[int]) -> Pair:
        """Run one row through the graph of a sequence, in chunks of these sizes."""
        state, out, at = self.initial_state(1), np.empty(0), 0
        for size in sizes:
            outputs, state = self.run(x[at : at + size, None], state, np.array([size], np.int32))
            out, at = outputs["output"][0], at + size
        return out, state

    def run_steps(self, x: Array) -> list[Pair]:
        """Return the pair of one row after each step; the graph of a sequence runs in chunks of one step."""
        state, pairs = self.initial_state(1), []
        for one in x:
            args = (one[None], state) if self.takes_one_step else (one[None, None], state, ONE)
            outputs, state = self.run(*args)
            pairs.append((outputs["output"][0], state))
        after = state
        for n in range(1, self.look_ahead + 1):
            outputs, after = self.run(np.zeros_like(x[:1]), after, late=n)
            pairs.append((outputs["output"][0], state))
        return pairs

    def run_batch(self, xs: list[Array]) -> list[Pair]:
        """Run rows of different lengths as one batch."""
        lengths = np.array([len(x) for x in xs], np.int32)
        padded = np.zeros((lengths.max(), len(xs), *xs[0].shape[1:]), xs[0].dtype)
        for b, x in enumerate(xs):
            padded[: len(x), b] = x
        outputs, state = self.run(padded, self.initial_state(len(xs)), lengths)
        return [(outputs["output"][b], {n: v[b : b + 1] for n, v in state.items()}) for b in range(len(xs))]


def verify_onnx(replay: Replay) -> Iterator[Result]:
    """Run the graph of a sequence and, if the model streams, that of a step."""
    try:
        session = OnnxSession(replay.model, "sequence")
        limits = bound_cases(replay)
        yield verify_sequence(replay, session, limits)
        if not whole_reason(replay.model, "step"):
            yield verify_step(replay, limits)
    except MissingExtra:
        yield Result("onnx", "onnxruntime", "onnxruntime is not installed", ran=False)
    except ModelFileError as error:
        yield Result("onnx", "onnxruntime", str(error), ran=False)
    except TargetError as error:
        yield Result("onnx", "onnxruntime", str(error), ran=False, ok=False)


def verify_sequence(replay: Replay, session: OnnxSession, limits: Bounds) -> Result:
    """Run each case whole, all in one batch, and in pieces; return the worst result.

    Pieces need not have the same bits, because the order of a product's sum may depend on its size. Single steps with
    the same bits are the steps of the whole.
    """
    runs = [[session.run_chunks(x, [len(x)]) for x in replay.x], session.run_batch(replay.x)]
    same, steps = None, None
    if not whole_reason(replay.model, "sequence"):
        runs.append([session.run_chunks(x, growing_chunks(len(x))) for x in replay.x])
        same = True if list(map(to_bytes, runs[0])) == list(map(to_bytes, runs[-1])) else None
        singles = [session.run_steps(x) for x in replay.x]
        if all(to_bytes(pairs[-1]) == to_bytes(pair) for run in runs for pairs, pair in zip(singles, run, strict=True)):
            steps = bound_onnx_steps(replay, session, singles)
    return compare_runs(replay, "onnxruntime sequence", runs, limits, same, steps)


def verify_step(replay: Replay, limits: Bounds) -> Result:
    """Run each case step by step, and compare each step from the state before it."""
    session = OnnxSession(replay.model, "step")
    runs = [session.run_steps(x) for x in replay.x]
    steps = bound_onnx_steps(replay, session, runs)
    return compare_runs(replay, "onnxruntime step", [[pairs[-1] for pairs in runs]], limits, steps=steps)


def bound_onnx_steps(replay: Replay, session: OnnxSession, runs: list[list[Pair]]) -> tuple[Array, Array]:
    """Return the errors and bounds of each step of these runs (one for each case), from the state before it."""
    model, errors = rewrite_grus(replay.model), activation_errors(replay.model)
    results = [
        bound_steps(
            model,
            x,
            [session.initial_state(1), *(s for _, s in pairs[: len(x)])],
            np.stack([y for y, _ in pairs]),
            errors,
        )
        for x, pairs in zip(replay.x, runs, strict=True)
    ]
    error, bound = (np.concatenate(parts) for parts in zip(*results, strict=True))
    return error, bound


def compare_runs(
    replay: Replay,
    path: str,
    runs: list[list[Pair]],
    limits: Bounds,
    same: bool | None = None,
    steps: tuple[Array, Array] | None = None,
) -> Result:
    """Compare several runs of all cases with the stored answers; return the worst result."""
    answers = [[replay.subsample(out.astype(np.float64), flatten_state(s)) for out, s in run] for run in runs]
    results = [replay.compare("onnx", path, cases, limits, same, steps) for cases in answers]
    return max(results, key=lambda result: (result.ok is False, result.ratio or 0.0))


def growing_chunks(T: int) -> list[int]:
    """Split T steps into chunks of 1, 2, 4 ... and the rest.

    >>> growing_chunks(10)
    [1, 2, 4, 3]
    """
    sizes: list[int] = []
    while (rest := T - sum(sizes)) > 0:
        sizes.append(min(2 ** len(sizes), rest))
    return sizes


def to_bytes(pair: Pair) -> tuple[bytes, ...]:
    return pair[0].tobytes(), *(v.tobytes() for v in pair[1].values())


# --- bounds of what onnxruntime computes


def bound_cases(replay: Replay) -> Bounds:
    """Return the bounds of output and state for each case."""
    model, errors = replay.model, activation_errors(replay.model)
    if "GRU" not in {node.op for node in standard_nodes(model)}:
        return replay.bounds(errors)
    return Replay(rewrite_grus(model)).bounds(errors)


def standard_nodes(model: Model) -> list[StandardNode]:
    """Return the ONNX nodes that the model's recurrences become."""
    return [node for tape in model.tapes.values() if (node := find_standard_node(tape))]


def activation_errors(model: Model) -> ActivationErrors:
    """Return how far onnxruntime's functions deviate on the graph of this model."""
    errors = ORT_ERRORS
    if any(node.op == "RNN" for node in standard_nodes(model)):
        errors = errors._replace(tanh_abs=RNN_TANH_ABS)
    standard = [layer for layer in model.layers if any(map(find_standard_node, layer.tapes.values()))]
    return errors._replace(extra_roundings=max([0, *(layer.longest_sum for layer in standard)]))


def rewrite_grus(model: Model) -> Model:
    """Return the model with the equation of each GRU written as in its node: the same in exact arithmetic."""
    tapes = {name: rewrite_gru(tape).to_json() for name, tape in model.tapes.items()}
    return Model({**model.document, "tapes": tapes}, model.tensors)


def rewrite_gru(tape: Tape) -> Tape:
    node = find_standard_node(tape)
    if node is None or node.op != "GRU":
        return tape
    reset = node.dialect["reset"]

    def equation(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
        r = op.sigmoid(x.r + R.r(s.h))
        z = op.sigmoid(x.z + R.z(s.h))
        n = op.tanh(x.n + r * R.n(s.h)) if reset == "after" else op.tanh(x.n + R.n(r * s.h))
        h = (1.0 - z) * n + z * s.h
        return h, s.replace(h=h)

    return trace(equation, gru.GATES, gru.RECURRENT, gru.STATE, {})  # type: ignore[arg-type]

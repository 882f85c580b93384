"""The check of a model replayed: by the oracle, by torch and onnxruntime where they are installed, by
the exported C where there is a compiler, and by every native target.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import MissingExtra, ModelFileError
from ..model import Model, as_model
from ..runtime.offline import Staged, runner
from ..runtime.precision import COMPUTE_BF16, FLOAT32, arguments, precision_of, with_rounded_weights
from ..runtime.state import initial, view
from .bounds import ActivationErrors
from .check import answer, inputs
from .error_propagation import Trajectory, carried, each_step, flat_state, trajectory

if TYPE_CHECKING:
    from ..runtime import Predictor

# torch's own functions: within about one unit in the last place, its sigmoid within three
TORCH_ERRORS: Final = ActivationErrors(sigmoid_abs=2.4e-7, tanh_rel=3.6e-7, exp_rel=2.4e-7)
BF16_REL: Final = 2.0**-8  # half of a bfloat16's last place, relatively
ORACLE_REL: Final = 1e-11  # float64's own roundings, which differ between machines and versions of NumPy
FLOAT64_SHARE: Final = 2.0**-28  # of float32's roundings those of two runs in float64, whose unit is 2^-29 of it
MOST_OF_OUTPUT: Final = 1 / 8  # of the largest output, or of 1: a bound of more says nothing
NO_BOUND: Final = "no bound holds"

Array = npt.NDArray[Any]
Bounds = list[tuple[Array, Array]]
Pair = tuple[Array, Array]  # last output float32 [O], state block uint8 [state_bytes]


@dataclass(frozen=True)
class Result:
    """One reader of the model against the stored check, and where it runs step by step each of its steps.

    target: "oracle", "torch", "onnx", "c" or a native target. path: "float64", "whole sequence", "fused" or
    "interpreter", and the precision unless it is float32. error: the largest absolute error of any number of the
    outputs and states; bound: that number's bound; ratio: the worst error over its own bound; chunks: whether the run
    in pieces gave the same bits (None: not run in pieces). moved: how far rounding the weights moves the oracle's own
    answers, at most; error and bound are then about the oracle with rounded weights. step_ratio: the worst error of a
    single step over its own bound, each from the reader's own state before it (None: not followed). verdict: "ok", or
    what is wrong or missing in a few words. ran: whether it ran at all. ok: whether nothing is wrong; None where that
    cannot be told, because no bound holds: the model amplifies roundings too much, or its numbers outgrow float32.

    Where no bound of the whole holds but each step was followed, error, bound and ratio are those of the worst step.
    """

    target: str
    path: str
    verdict: str
    ran: bool = True
    ok: bool | None = True
    error: float | None = None
    bound: float | None = None
    ratio: float | None = None
    chunks: bool | None = None
    moved: float | None = None
    step_ratio: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields by name; a number that is not finite as None."""
        fields = asdict(self).items()
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in fields}


class Replay:
    """A model's check: inputs, stored answers, the oracle's runs, and bounds by the activations' errors.

    precision: of a native run. Rounded weights are known numbers: so the oracle gets them too, and answers in place of
    what is stored.
    """

    def __init__(self, model: Model, precision: str = FLOAT32) -> None:
        check = model.document["check"]
        if check is None:
            raise ModelFileError("the model has no check to replay; save it with tidegate.verify.attach")
        self.precision, self.stride = precision, check["stride"]
        self.model, self.exact = model, model if precision == FLOAT32 else with_rounded_weights(model)
        self.x = inputs(model, check["seed"], [case["steps"] for case in check["cases"]])
        self.stored = [(model.tensors[c["output"]], model.tensors[c["state"]]) for c in check["cases"]]
        self.begin = initial(model.state_schema, model.state_bytes)[None]
        self.runs = [trajectory(self.exact, x) for x in self.x]
        self.answers = [self.strided(*answer(run)) for run in self.runs]
        self._bounds: dict[ActivationErrors, Bounds] = {}
        self._steps: dict[Any, tuple[Array, Array]] = {}
        self.moved: float | None = None
        if precision != FLOAT32:
            pairs = zip(self.answers, self.stored, strict=True)
            self.moved = max(float(abs(a - b).max(initial=0)) for pair in pairs for a, b in zip(*pair, strict=True))
            self.stored = self.answers

    def strided(self, output: Array, state: Array) -> tuple[Array, Array]:
        return output[:: self.stride], state[:: self.stride]

    def bounds_on(self, target: str) -> Bounds:
        """Those of a native target, in the replay's precision."""
        return self.bounds(errors_on(target, self.precision))

    def bounds(self, errors: ActivationErrors) -> Bounds:
        """For each case the bounds of output and state: infinity where none holds, NaN of numbers of a long state that
        are not bounded."""
        if errors not in self._bounds:
            self._bounds[errors] = [self.bound(run, errors) for run in self.runs]
        return self._bounds[errors]

    def bound(self, run: Trajectory, errors: ActivationErrors) -> tuple[Array, Array]:
        """Of a long state an even sample is bounded."""
        found = carried(self.exact, run, errors)
        state = np.full(sum(v.size for v in run.last.values()) - 1, np.nan)
        state[found.numbers] = found.state
        if found.output.max(initial=0) > MOST_OF_OUTPUT * max(1.0, abs(run.outputs[-1]).max(initial=0)):
            return self.strided(np.full_like(found.output, np.inf), np.full_like(state, np.inf))
        return self.strided(found.output, state)

    def each_step(self, made: list[list[Pair]], errors: ActivationErrors) -> tuple[Array, Array]:
        """Errors and bounds of all numbers of each step that a reader made: for each case its pairs after each step."""
        key = (errors, *(part for pairs in made for pair in pairs for part in raw(pair)))
        if key not in self._steps:  # targets that have the same bits have it once
            found = []
            for x, pairs in zip(self.x, made, strict=True):
                states = [arrays(self.model, block) for block in (self.begin[0], *(block for _, block in pairs))]
                found.append(each_step(self.exact, x, states, np.stack([y for y, _ in pairs]), errors))
            self._steps[key] = (np.concatenate([e for e, _ in found]), np.concatenate([b for _, b in found]))
        return self._steps[key]

    def run(self, engine: _native.Engine | Staged) -> list[Pair]:
        """Each case in one native run."""
        return [pieces(engine, self.begin, x, [len(x)]) for x in self.x]

    def answers_of(self, pairs: list[Pair]) -> list[tuple[Array, Array]]:
        """Native outputs and state blocks as the check stores them."""
        return [self.strided(*numbers(self.model, *pair)) for pair in pairs]

    def judged(
        self,
        target: str,
        path: str,
        answers: list[tuple[Array, Array]],
        bounds: Bounds,
        chunks: bool | None = None,
        steps: tuple[Array, Array] | None = None,
    ) -> Result:
        """The answers of a reader against the stored ones, number by number. steps: what `each_step` says."""
        error, bound = (
            np.concatenate([v for pair in pairs for v in pair])
            for pairs in (
                [(abs(o - a), abs(s - b)) for (o, s), (a, b) in zip(answers, self.stored, strict=True)],
                bounds,
            )
        )
        whole, known = worst(error, bound), not np.isinf(bound).any()
        step = None if steps is None else worst(*steps)
        over = any(found.ratio > 1 for found in (whole, step) if found is not None)
        shown, verdict = whole, "ok"
        ok: bool | None = True
        if not known:
            shown = step or whole
            verdict, ok = ("ok, step by step", True) if step and step.bound < np.inf else (NO_BOUND, None)
        if over:
            verdict, ok = "over its bound", False
        elif chunks is False:
            verdict, ok = "its pieces differ from the whole", False
        return Result(
            target,
            path,
            verdict,
            True,
            ok,
            shown.error,
            shown.bound,
            shown.ratio,
            chunks,
            self.moved,
            None if step is None else step.ratio,
        )


class Worst(NamedTuple):
    """The largest error among some numbers, the bound of that one, and the largest ratio of any error to its bound. The
    bound is infinite where some number has none."""

    error: float
    bound: float
    ratio: float


def worst(error: Array, bound: Array) -> Worst:
    """NaN as an error is over every bound that holds; numbers whose bound is NaN do not count."""
    counted = ~np.isnan(bound)
    error, bound = np.where(np.isnan(error), np.inf, error)[counted], bound[counted]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((error == 0) | np.isinf(bound), 0.0, error / bound)
    at = int(error.argmax())
    none = np.isinf(bound).any()
    return Worst(float(error[at]), np.inf if none else float(bound[at]), float(ratio.max()))


def verify(
    model: Model | Predictor | str | os.PathLike[str], weights: str | None = None, compute: str | None = None
) -> list[Result]:
    """The check replayed on the oracle, torch, the ONNX graphs, the C and each target of this build, whole and, of a
    model that streams, in pieces. model: a model, a predictor, or the path of a model file. weights, compute: as
    `tidegate.load` has them; "bf16" replays the oracle and the native targets in that precision. Without either it is a
    predictor's own.

    Raises ModelFileError when the model has no check, or the file is none; OptionError for what is no model or no
    precision. What this machine lacks is listed, with `ran` false.
    """
    from .c_target import c
    from .onnx_target import onnx

    replay, precision = Replay(as_model(model)), precision_of(weights, compute)
    if weights is compute is None:
        precision = getattr(model, "precision", FLOAT32)
    if precision != FLOAT32:
        return [reference(replay), *native(Replay(replay.model, precision))]
    return [reference(replay), torch(replay), *onnx(replay), c(replay), *native(replay)]


def reference(replay: Replay) -> Result:
    """The oracle made anew against what the file stores, to the last few digits of float64; of a model that amplifies
    roundings, to its share of float32's bound."""
    near = [(ORACLE_REL * (1 + abs(y)), ORACLE_REL * (1 + abs(s))) for y, s in replay.stored]
    found = replay.judged("oracle", "float64", replay.answers, near)
    if found.ok:
        return found
    far = replay.bounds(TORCH_ERRORS)
    wide = [(amplified(y, Y), amplified(s, S)) for (y, s), (Y, S) in zip(near, far, strict=True)]
    return replay.judged("oracle", "float64", replay.answers, wide)


def amplified(near: Array, far: Array) -> Array:
    """The bounds of float64: at least `near`, and its share of float32's, of the worst where a number has none."""
    most = np.max(far, initial=0.0, where=~np.isnan(far))
    return np.maximum(near, FLOAT64_SHARE * np.where(np.isnan(far), most, far))


def errors_on(target: str, precision: str = FLOAT32) -> ActivationErrors:
    """What a native target strays by."""
    errors = ActivationErrors(**_native.ERRORS[target])  # type: ignore[arg-type]
    if precision == COMPUTE_BF16:
        return errors._replace(operand=BF16_REL)
    return errors._replace(ordered=True)


def torch(replay: Replay) -> Result:
    path = "whole sequence"
    try:
        from ..nn import run
    except MissingExtra:
        return Result("torch", path, "not installed", ran=False)
    answers, followed, model = [], [], replay.model
    errors = TORCH_ERRORS._replace(chain=max([0, *map(longest_sum, model.layers)]))
    for x in replay.x:
        y, made = run(model, x[:, None], np.array([len(x)], np.int64))
        states = [arrays(model, replay.begin[0])]
        for k in range(0 if model.whole_window else len(x)):
            states.append(
                {name: made[name][k] if name in made else np.full_like(v, k + 1) for name, v in states[0].items()}
            )
        answers.append(replay.strided(np.asarray(y[-1, 0], np.float64), flat_state(states[-1])))
        if not model.whole_window:
            followed.append(each_step(model, x, states, y[:, 0], errors))
    steps = (np.concatenate([e for e, _ in followed]), np.concatenate([b for _, b in followed])) if followed else None
    return replay.judged("torch", path, answers, replay.bounds(TORCH_ERRORS), steps=steps)


def longest_sum(layer: dict[str, Any]) -> int:
    """How many terms torch's kernel may add to a sum of a recurrence, as it may add R h to W x: those of the longer."""
    return max(layer["inputs"], layer["size"]) + 1 if "tape" in layer else 0


def native(replay: Replay) -> Iterator[Result]:
    for target in _native.compiled_targets(replay.precision):
        if target in _native.targets(replay.precision):
            yield from on_target(replay, target)
        else:
            yield Result(target, "native", "not on this machine", ran=False)


def on_target(replay: Replay, target: str) -> Iterator[Result]:
    """One native target by its fused kernels, where the model has any, and by the interpreter: equal bits."""
    precision = "" if replay.precision == FLOAT32 else f", {replay.precision}"
    whole: dict[str, list[Pair]] = {}
    for path in ("fused", "interpreter"):
        engine = runner(replay.model, target, path == "fused", **arguments(replay.precision))
        if path == "fused" and not engine.fused_layers:
            continue
        whole[path] = replay.run(engine)
        yield by_engine(replay, engine, target, path + precision, whole[path])
    if "fused" in whole and list(map(raw, whole["fused"])) != list(map(raw, whole["interpreter"])):
        yield Result(target, "both", "fused kernel and interpreter differ", ok=False)


def by_engine(
    replay: Replay, engine: _native.Engine | Staged, target: str, path: str, whole: list[Pair] | None = None
) -> Result:
    """A native run on a target: whole, in pieces, and where the model streams each step by itself. whole: that run, if
    it has been made."""
    whole = replay.run(engine) if whole is None else whole
    chunks: bool | None = None
    steps = None
    if isinstance(engine, _native.Engine):
        singles = [single_steps(engine, replay.begin[0], x) for x in replay.x]
        parts = [in_pieces(engine, replay.begin, x) for x in replay.x], [made[-1] for made in singles]
        chunks = all(list(map(raw, whole)) == list(map(raw, found)) for found in parts)
        steps = replay.each_step(singles, errors_on(target, replay.precision))
    return replay.judged(target, path, replay.answers_of(whole), replay.bounds_on(target), chunks, steps)


def raw(pair: Pair) -> tuple[bytes, bytes]:
    return pair[0].tobytes(), pair[1].tobytes()


def arrays(model: Model, block: Array) -> dict[str, Array]:
    """The arrays of a state block, name -> [1, *shape]."""
    return {a["name"]: view(block, a)[None] for a in model.state_schema}


def numbers(model: Model, output: Array, block: Array) -> tuple[Array, Array]:
    """Output and state block as the check stores them: float64, the state's float arrays end to end."""
    return output.astype(np.float64), flat_state({a["name"]: view(block, a) for a in model.state_schema})


def pieces(engine: _native.Engine | Staged, state: Array, x: Array, sizes: list[int]) -> Pair:
    """A native run in chunks of these sizes, from a state [1, state_bytes]."""
    out, at = np.empty((1, engine.outputs), np.float32), 0
    for size in sizes:
        last = np.empty_like(state)
        part = np.ascontiguousarray(x[at : at + size, None])
        engine.run(part, np.array([size], np.int32), state, last, out, False, 1)
        state, at = last, at + size
    return out[0], state[0]


def single_steps(engine: _native.Engine, begin: Array, x: Array) -> list[Pair]:
    """The pair after each step, from a state [state_bytes]."""
    state, pairs = begin.copy(), []
    for k in range(len(x)):
        out = np.empty(engine.outputs, np.float32)
        engine.step(x[k : k + 1] if x.ndim == 1 else x[k], state, out)
        pairs.append((out, state.copy()))
    return pairs


def in_pieces(engine: _native.Engine, begin: Array, x: Array) -> Pair:
    """Both after the last step, by some single steps, then chunks of growing size."""
    state, out = begin.copy(), np.empty(engine.outputs, np.float32)
    singles = min(len(x), 5)
    for k in range(singles):
        engine.step(x[k : k + 1] if x.ndim == 1 else x[k], state[0], out)
    rest = len(x) - singles
    sizes: list[int] = []
    while sum(sizes) < rest:
        sizes.append(min(len(sizes) * 3 + 2, rest - sum(sizes)))
    return pieces(engine, state, x[singles:], sizes) if rest else (out, state[0])

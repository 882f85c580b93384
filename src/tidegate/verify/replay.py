"""The check of a model, ready to be replayed on a target, with error bounds; and the result of one target."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import ModelFileError
from ..model import Model
from ..runtime.precision import COMPUTE_BF16, FLOAT32, round_weights
from ..runtime.state import make_initial, view_array
from .bounds import ActivationErrors
from .check import final_values, make_inputs
from .error_propagation import Trajectory, bound_sequence, bound_steps, flatten_state, run_reference

BF16_REL: Final = 2.0**-8  # relative: half of a bfloat16's last place
USEFUL_SHARE: Final = 1 / 8  # of the largest output, or of 1: a larger bound says nothing
NO_BOUND: Final = "no bound holds"

Array = npt.NDArray[Any]
Bounds = list[tuple[Array, Array]]
Pair = tuple[Array, Array]  # last output float32 [O], state block uint8 [state_bytes]


@dataclass(frozen=True)
class Result:
    """The result of one target: the model's run against the stored check, and against the reference step by step.

    target: "oracle" (the float64 reference), "torch", "onnx", "c" or a native target.
    path: how it ran: "float64", "whole sequence", "fused" or "interpreter", and the precision unless it is float32.
    verdict: "ok", or in a few words what is wrong or missing.
    ran: whether it ran at all.
    ok: whether everything is right; None if that cannot be told, because no bound holds: the model amplifies roundings
    too much, or its numbers overflow float32.
    error: the largest absolute error of any output or state number; bound: the bound of that number.
    ratio: the largest ratio of an error to its own bound.
    chunks: whether a run in pieces gave the same bits; None if it did not run in pieces.
    moved: the most that rounding the weights changes the reference's results; error and bound then compare with the
    reference of the rounded weights. None in float32.
    step_ratio: the largest ratio over single steps, each from the target's own previous state; None if steps were not
    followed.
    graph: its name if the model has several, each of which is verified; else "".

    If no bound of the whole holds but single steps were followed, error, bound and ratio are those of the worst step.
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
    graph: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, with None for numbers that are not finite; `graph` only if there is one."""
        fields = [(k, v) for k, v in asdict(self).items() if k != "graph" or v]
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in fields}


class Replay:
    """A model's check, ready to be replayed: its inputs, stored answers, reference runs and error bounds.

    precision: of native runs. Rounded weights are known exactly, so the reference gets them as well, and its answers
    take the place of the stored ones.
    """

    def __init__(self, model: Model, precision: str = FLOAT32) -> None:
        check = model.document["check"]
        if check is None:
            raise ModelFileError("the model has no check to replay; save it with tidegate.verify.attach")
        self.precision, self.stride = precision, check["stride"]
        self.model, self.reference_model = model, model if precision == FLOAT32 else round_weights(model)
        self.x = make_inputs(model, check["seed"], [case["steps"] for case in check["cases"]])
        self.stored = [(model.tensors[c["output"]], model.tensors[c["state"]]) for c in check["cases"]]
        self.initial_state = make_initial(model.state_schema, model.state_bytes)[None]
        self.trajectories = [run_reference(self.reference_model, x) for x in self.x]
        self.reference_answers = [self.subsample(*final_values(run)) for run in self.trajectories]
        self._bounds: dict[ActivationErrors, Bounds] = {}
        self._steps: dict[Any, tuple[Array, Array]] = {}
        self.moved: float | None = None
        if precision != FLOAT32:
            pairs = zip(self.reference_answers, self.stored, strict=True)
            self.moved = max(float(abs(a - b).max(initial=0)) for pair in pairs for a, b in zip(*pair, strict=True))
            self.stored = self.reference_answers

    def subsample(self, output: Array, state: Array) -> tuple[Array, Array]:
        """Return the numbers that the check stores."""
        return output[:: self.stride], state[:: self.stride]

    def target_bounds(self, target: str) -> Bounds:
        """Return the bounds of a native target, in the precision of the replay."""
        return self.bounds(target_errors(target, self.precision))

    def bounds(self, errors: ActivationErrors) -> Bounds:
        """Return the bounds of output and state for each case.

        They are infinite if none holds, and NaN for numbers of a long state that are not bounded.
        """
        if errors not in self._bounds:
            self._bounds[errors] = [self.bound_trajectory(run, errors) for run in self.trajectories]
        return self._bounds[errors]

    def bound_trajectory(self, run: Trajectory, errors: ActivationErrors) -> tuple[Array, Array]:
        """Bound one run; for a long state, an even sample of its numbers."""
        bounds = bound_sequence(self.reference_model, run, errors)
        state = np.full(sum(v.size for v in run.last.values()) - 1, np.nan)
        state[bounds.indices] = bounds.state
        if bounds.output.max(initial=0) > USEFUL_SHARE * max(1.0, abs(run.outputs[-1]).max(initial=0)):
            return self.subsample(np.full_like(bounds.output, np.inf), np.full_like(state, np.inf))
        return self.subsample(bounds.output, state)

    def bound_steps(self, cases: list[list[Pair]], errors: ActivationErrors) -> tuple[Array, Array]:
        """Return the errors and bounds of all numbers of each step. cases: for each case, the pair after each step.

        If outputs are late, the pairs go on behind the last step, with each output that is still to come.
        """
        key = (errors, *(part for pairs in cases for pair in pairs for part in to_bytes(pair)))
        if key not in self._steps:  # targets with the same bits share one result
            results = []
            for x, pairs in zip(self.x, cases, strict=True):
                blocks = [self.initial_state[0], *(block for _, block in pairs[: len(x)])]
                states = [state_arrays(self.model, block) for block in blocks]
                outputs = np.stack([y for y, _ in pairs])
                results.append(bound_steps(self.reference_model, x, states, outputs, errors))
            self._steps[key] = (np.concatenate([e for e, _ in results]), np.concatenate([b for _, b in results]))
        return self._steps[key]

    def to_answers(self, pairs: list[Pair]) -> list[tuple[Array, Array]]:
        """Convert native outputs and state blocks to what the check stores."""
        return [self.subsample(*to_float64(self.model, *pair)) for pair in pairs]

    def compare(
        self,
        target: str,
        path: str,
        answers: list[tuple[Array, Array]],
        bounds: Bounds,
        chunks: bool | None = None,
        steps: tuple[Array, Array] | None = None,
    ) -> Result:
        """Compare a target's answers with the stored ones, number by number. steps: the result of `bound_steps`.

        A target that only runs whole sequences has no states, so only its outputs are compared.
        """
        errors = [(abs(o - a), abs(s - b[: len(s)])) for (o, s), (a, b) in zip(answers, self.stored, strict=True)]
        bounds = [(o, s[: len(e)]) for (o, s), (_, e) in zip(bounds, errors, strict=True)]
        error, bound = (np.concatenate([v for pair in pairs for v in pair]) for pairs in (errors, bounds))
        whole, known = find_worst(error, bound), not np.isinf(bound).any()
        step = None if steps is None else find_worst(*steps)
        verdict, ok = judge(whole, step, known, chunks)
        worst = whole if known else step or whole
        step_ratio = None if step is None else step.ratio
        return Result(
            target, path, verdict, True, ok, worst.error, worst.bound, worst.ratio, chunks, self.moved, step_ratio
        )


class Worst(NamedTuple):
    """The largest error among some numbers, the bound of that number, and the largest ratio of any error to its bound.

    The bound is infinite if any number has none.
    """

    error: float
    bound: float
    ratio: float


def find_worst(error: Array, bound: Array) -> Worst:
    """Find the worst of some errors. A NaN exceeds any bound that holds; numbers whose bound is NaN are left out."""
    bounded = ~np.isnan(bound)
    error, bound = np.where(np.isnan(error), np.inf, error)[bounded], bound[bounded]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((error == 0) | np.isinf(bound), 0.0, error / bound)
    at = int(error.argmax())
    none = np.isinf(bound).any()
    return Worst(float(error[at]), np.inf if none else float(bound[at]), float(ratio.max()))


def judge(whole: Worst, step: Worst | None, known: bool, chunks: bool | None) -> tuple[str, bool | None]:
    """Return the verdict and `ok`. known: whether a bound of the whole holds."""
    if whole.ratio > 1 or (step is not None and step.ratio > 1):
        return "over its bound", False
    if chunks is False:
        return "its pieces differ from the whole", False
    if known:
        return "ok", True
    return ("ok, step by step", True) if step and step.bound < np.inf else (NO_BOUND, None)


def target_errors(target: str, precision: str = FLOAT32) -> ActivationErrors:
    """Return how far the functions of a native target deviate."""
    errors = ActivationErrors(**_native.ERRORS[target])  # type: ignore[arg-type]
    if precision == COMPUTE_BF16:
        return errors._replace(operand_rel=BF16_REL)
    return errors._replace(ordered=True)


def to_bytes(pair: Pair) -> tuple[bytes, bytes]:
    return pair[0].tobytes(), pair[1].tobytes()


def state_arrays(model: Model, block: Array) -> dict[str, Array]:
    """Return the arrays of a state block, name -> [1, *shape]."""
    return {a["name"]: view_array(block, a)[None] for a in model.state_schema}


def to_float64(model: Model, output: Array, block: Array) -> tuple[Array, Array]:
    """Return output and state block in float64, the state's float arrays end to end."""
    return output.astype(np.float64), flatten_state({a["name"]: view_array(block, a) for a in model.state_schema})

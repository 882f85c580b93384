"""What every target of `verify` needs: the check of a model to replay, error bounds, and a result."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import ModelFileError
from ..model import Model
from ..runtime.precision import COMPUTE_BF16, FLOAT32, with_rounded_weights
from ..runtime.state import initial, view
from .bounds import ActivationErrors
from .check import final_values, make_inputs
from .error_propagation import Trajectory, bound_sequence, bound_steps, flatten_state, run_reference

BF16_REL: Final = 2.0**-8  # half of a bfloat16's last place, relatively
USEFUL_SHARE: Final = 1 / 8  # of the largest output, or of 1: a bound of more says nothing
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
        self.model, self.reference_model = model, model if precision == FLOAT32 else with_rounded_weights(model)
        self.x = make_inputs(model, check["seed"], [case["steps"] for case in check["cases"]])
        self.stored = [(model.tensors[c["output"]], model.tensors[c["state"]]) for c in check["cases"]]
        self.initial_state = initial(model.state_schema, model.state_bytes)[None]
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
        return output[:: self.stride], state[:: self.stride]

    def bounds_on(self, target: str) -> Bounds:
        """Those of a native target, in the replay's precision."""
        return self.bounds(target_errors(target, self.precision))

    def bounds(self, errors: ActivationErrors) -> Bounds:
        """For each case the bounds of output and state: infinity where none holds, NaN of numbers of a long state that
        are not bounded."""
        if errors not in self._bounds:
            self._bounds[errors] = [self.bound_trajectory(run, errors) for run in self.trajectories]
        return self._bounds[errors]

    def bound_trajectory(self, run: Trajectory, errors: ActivationErrors) -> tuple[Array, Array]:
        """Of a long state an even sample is bounded."""
        found = bound_sequence(self.reference_model, run, errors)
        state = np.full(sum(v.size for v in run.last.values()) - 1, np.nan)
        state[found.indices] = found.state
        if found.output.max(initial=0) > USEFUL_SHARE * max(1.0, abs(run.outputs[-1]).max(initial=0)):
            return self.subsample(np.full_like(found.output, np.inf), np.full_like(state, np.inf))
        return self.subsample(found.output, state)

    def bound_steps(self, made: list[list[Pair]], errors: ActivationErrors) -> tuple[Array, Array]:
        """Errors and bounds of all numbers of each step that a reader made: for each case its pairs after each step."""
        key = (errors, *(part for pairs in made for pair in pairs for part in to_bytes(pair)))
        if key not in self._steps:  # targets that have the same bits have it once
            found = []
            for x, pairs in zip(self.x, made, strict=True):
                states = [state_arrays(self.model, block) for block in (self.initial_state[0], *(block for _, block in pairs))]
                found.append(bound_steps(self.reference_model, x, states, np.stack([y for y, _ in pairs]), errors))
            self._steps[key] = (np.concatenate([e for e, _ in found]), np.concatenate([b for _, b in found]))
        return self._steps[key]

    def to_answers(self, pairs: list[Pair]) -> list[tuple[Array, Array]]:
        """Native outputs and state blocks as the check stores them."""
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
        """The answers of a reader against the stored ones, number by number. steps: what `each_step` says."""
        error, bound = (
            np.concatenate([v for pair in pairs for v in pair])
            for pairs in (
                [(abs(o - a), abs(s - b)) for (o, s), (a, b) in zip(answers, self.stored, strict=True)],
                bounds,
            )
        )
        whole, known = find_worst(error, bound), not np.isinf(bound).any()
        step = None if steps is None else find_worst(*steps)
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


def find_worst(error: Array, bound: Array) -> Worst:
    """NaN as an error is over every bound that holds; numbers whose bound is NaN do not count."""
    counted = ~np.isnan(bound)
    error, bound = np.where(np.isnan(error), np.inf, error)[counted], bound[counted]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((error == 0) | np.isinf(bound), 0.0, error / bound)
    at = int(error.argmax())
    none = np.isinf(bound).any()
    return Worst(float(error[at]), np.inf if none else float(bound[at]), float(ratio.max()))


def target_errors(target: str, precision: str = FLOAT32) -> ActivationErrors:
    """What a native target strays by."""
    errors = ActivationErrors(**_native.ERRORS[target])  # type: ignore[arg-type]
    if precision == COMPUTE_BF16:
        return errors._replace(operand_rel=BF16_REL)
    return errors._replace(ordered=True)


def to_bytes(pair: Pair) -> tuple[bytes, bytes]:
    return pair[0].tobytes(), pair[1].tobytes()


def state_arrays(model: Model, block: Array) -> dict[str, Array]:
    """The arrays of a state block, name -> [1, *shape]."""
    return {a["name"]: view(block, a)[None] for a in model.state_schema}


def to_float64(model: Model, output: Array, block: Array) -> tuple[Array, Array]:
    """Output and state block as the check stores them: float64, the state's float arrays end to end."""
    return output.astype(np.float64), flatten_state({a["name"]: view(block, a) for a in model.state_schema})

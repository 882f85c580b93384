"""The `check` of a model file: an input generated from a seed, and the results of the float64 reference for it.

The generator is splitmix64 (Steele, Lea and Flood 2014), so that any language can generate the same input from the
seed:

    state += 0x9E3779B97F4A7C15; z = state
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9; z = (z ^ z >> 27) * 0x94D049BB133111EB; draw = z ^ z >> 31

modulo 2^64, with the state starting at the seed. A token id below V is draw * V >> 64; several ids of a step follow one
another. A number is the sum of the draw's four 16-bit parts, minus 131070, times 7 / 2^18: roughly normal with mean 0
and deviation 1, and exact in float32. One generator serves all cases in order; within a case, steps follow one another,
each with all its features.
"""

from __future__ import annotations

from typing import Any, Final

import numpy.typing as npt

from ..limits import MAX_CHECK_BYTES, MAX_CHECK_STEPS
from ..model import Model
from .draws import splitmix64
from .error_propagation import Trajectory, flatten_state, run_reference
from .held import fill_held

SEED: Final = 0x7469646567617465  # "tidegate"
LENGTHS: Final = (1, 37)
PREFIX: Final = "check."

Array = npt.NDArray[Any]


def make_inputs(model: Model, seed: int, lengths: list[int]) -> list[Array]:
    """Generate the rows of each case: ids int32 [T] or [T, ids], or numbers float32 [T, features]."""
    draws, (source,) = splitmix64(seed), model.inputs.values()
    return [source.synthesise(draws, T) for T in lengths]


def case_lengths(model: Model) -> tuple[int, ...]:
    """Return the lengths of the cases: 1 and 37, or 1 and the rows that the layers run anew for each answer.

    If the layers look ahead, each case has as many more steps, so that all layers have begun.
    """
    (source,), ahead = model.inputs.values(), model.look_ahead
    if source.rows is None:
        return tuple(n + ahead for n in LENGTHS)
    return tuple(sorted({1 + ahead, max(1 + ahead, min(MAX_CHECK_STEPS, source.rows))}))


def final_values(run: Trajectory) -> tuple[Array, Array]:
    """Return what a case stores: the last output, and the last state's float arrays end to end."""
    return run.outputs[-1], flatten_state(run.last)


def make_check(
    model: Model, seed: int = SEED, lengths: tuple[int, ...] | None = None
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the `check` entry of a document and its tensors (float64): the reference's last output and state of each
    case.

    Every `stride`-th number is stored, with the smallest stride that fits the file's limit for checks.
    """
    lengths = case_lengths(model) if lengths is None else lengths
    answers = [final_values(run_reference(model, x)) for x in make_inputs(model, seed, list(lengths))]
    stride = 1
    while sum(v[::stride].nbytes for pair in answers for v in pair) > MAX_CHECK_BYTES:
        stride += 1
    cases: list[dict[str, Any]] = []
    tensors: dict[str, Array] = {}
    for i, (T, (output, state)) in enumerate(zip(lengths, answers, strict=True)):
        names = {"output": f"check.{i}.output", "state": f"check.{i}.state"}
        cases.append({"steps": T, **names})
        tensors |= {names["output"]: output[::stride].copy(), names["state"]: state[::stride].copy()}
    return {"seed": seed, "stride": stride, "cases": cases}, tensors


def attach(model: Model, seed: int = SEED, lengths: tuple[int, ...] | None = None) -> Model:
    """Return the model with a new check, which it needs before it is saved; one for each graph if there are several.

    That of a graph which a decoder drives is made with rows of other graphs that are made up.
    """
    weights = {name: v for name, v in model.tensors.items() if not name.startswith(PREFIX)}
    if not model.graphs:
        check, tensors = make_check(model, seed, lengths)
        return Model({**model.document, "check": check}, {**weights, **tensors})
    checks: dict[str, Any] = {}
    for name, graph in model.graphs.items():
        check, tensors = make_check(fill_held(graph.model, seed), seed, lengths)
        for case in check["cases"]:
            for key in ("output", "state"):
                array, case[key] = tensors[case[key]], f"{PREFIX}{name}.{case[key].removeprefix(PREFIX)}"
                weights[case[key]] = array
        checks[name] = check
    return Model({**model.document, "check": checks}, weights)

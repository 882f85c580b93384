"""The C of a self-test: the model file's check."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import Answer
from .program import Program
from .templates import substitute

Float = npt.NDArray[np.float64]
PAIRS_A_LINE = 2

FEED = {
    True: """\
/* One step of a token id that is drawn: draw * @NAME@_IDS >> 64. */
static void feed(@name@_state *state, uint64_t *seed, float *out) {
  const uint64_t drawn = draw(seed), low = (drawn & UINT64_C(0xFFFFFFFF)) * @NAME@_IDS;
  @name@_step(state, (int32_t)(((drawn >> 32) * @NAME@_IDS + (low >> 32)) >> 32), out);
}
""",
    False: """\
/* One step of about normal numbers that are drawn: sums of four parts. */
static void feed(@name@_state *state, uint64_t *seed, float *out) {
  static float x[@NAME@_INPUTS];
  for (size_t i = 0; i < @NAME@_INPUTS; ++i) {
    const uint64_t z = draw(seed);
    const int32_t sum = (int32_t)((z & 0xFFFF) + (z >> 16 & 0xFFFF) + (z >> 32 & 0xFFFF) + (z >> 48));
    x[i] = (float)((sum - 131070) * 7) / 262144.0f;
  }
  @name@_step(state, x, out);
}
""",
}


def generate_self_test(program: Program, name: str, answers: list[Answer]) -> str:
    """The self-test, to be compiled with NAME_SELF_TEST defined. answers: one for each case of the model's check."""
    check = program.model.document["check"]
    cases, expected = [], []
    for k, (case, answer) in enumerate(zip(check["cases"], answers, strict=True)):
        output = format_numbers(answer.output, answer.output_bound, check["stride"])
        state = format_numbers(answer.state, answer.state_bound, check["stride"])
        named = [(f"output_{k}", output), (f"state_{k}", state)]
        expected += [format_array(label, found) for label, found in named if found]
        pointers = ", ".join(label if found else "NULL" for label, found in named)
        open_ = count_unbounded(answer.output_bound) + count_unbounded(answer.state_bound)
        cases.append(f"{{{case['steps']}, {len(output)}, {len(state)}, {open_}, {pointers}}}")
    names: dict[str, object] = {"name": name, "NAME": name.upper()}
    text = (files(__package__) / "selftest.txt").read_text("utf-8")
    values: dict[str, Any] = {
        "expected": "\n".join(expected),
        "cases": ",\n  ".join(cases),
        "seed": check["seed"],
        "data": "state.data" if program.floats else "NULL",
        "input": substitute(FEED[program.takes_ids], names),
        **names,
    }
    return substitute(text, values)


def format_numbers(answer: Float, bound: Float, stride: int) -> list[str]:
    """The numbers that have a bound, each with its place."""
    triples = zip(range(0, stride * len(answer), stride), answer.tolist(), bound.tolist(), strict=True)
    return [f"{{{at}, {value!r}, {limit:.9e}}}" for at, value, limit in triples if np.isfinite(limit)]


def count_unbounded(bound: Float) -> int:
    """How many numbers have no bound, as none holds; those that were not bounded are NaN."""
    return int(np.isinf(bound).sum())


def format_array(label: str, found: list[str]) -> str:
    lines = (", ".join(found[i : i + PAIRS_A_LINE]) for i in range(0, len(found), PAIRS_A_LINE))
    return f"static const Expected {label}[] = {{\n  " + ",\n  ".join(lines) + "};\n"

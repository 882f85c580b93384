"""The C of the self-test: the check of the model file."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ExpectedValues
from .program import Program
from .templates import substitute

Float = npt.NDArray[np.float64]
NUMBERS_PER_LINE = 2

FEED = {
    "id": """\
/* One step with a generated token id: draw * @NAME@_IDS >> 64. */
static void feed(@name@_state *state, uint64_t *seed, float *out) {
  const uint64_t drawn = draw(seed), low = (drawn & UINT64_C(0xFFFFFFFF)) * @NAME@_IDS;
  @name@_step(state, (int32_t)(((drawn >> 32) * @NAME@_IDS + (low >> 32)) >> 32), out);
}
""",
    "ids": """\
/* One step with generated token ids, one after the other: draw * size >> 64. Of ids that may lack, only the first ones
 * count, as many as a further draw tells. */
static int32_t below(uint64_t drawn, uint64_t size) {
  const uint64_t low = (drawn & UINT64_C(0xFFFFFFFF)) * size;
  return (int32_t)(((drawn >> 32) * size + (low >> 32)) >> 32);
}

static void feed(@name@_state *state, uint64_t *seed, float *out) {
  static const int32_t ports[][4] = {@ports@}; /* first column, ids, different ids, how many there can be; 0: all */
  int32_t ids[@NAME@_IDS_PER_STEP];
  for (size_t p = 0; p < sizeof ports / sizeof ports[0]; ++p) {
    int32_t *const own = ids + ports[p][0], n = ports[p][1];
    for (int32_t k = 0; k < n; ++k) own[k] = below(draw(seed), (uint64_t)ports[p][2]);
    if (!ports[p][3]) continue;
    for (int32_t k = below(draw(seed), (uint64_t)ports[p][3]); k < n; ++k) own[k] = -1;
  }
  @name@_step(state, ids, out);
}
""",
    "x": """\
/* One step with roughly normal generated numbers: sums of four parts of a draw. */
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

FLUSH = """
    for (int32_t n = 1; n <= @NAME@_LOOK_AHEAD; ++n) @name@_flush(&state, n, out);"""


def generate_self_test(program: Program, name: str, expected: list[ExpectedValues]) -> str:
    """Generate the self-test, to be compiled with NAME_SELF_TEST defined. expected: one for each case of the check."""
    check = program.model.document["check"]
    cases, arrays = [], []
    for k, (case, answer) in enumerate(zip(check["cases"], expected, strict=True)):
        output = format_numbers(answer.output, answer.output_bound, check["stride"])
        state = format_numbers(answer.state, answer.state_bound, check["stride"])
        labelled = [(f"output_{k}", output), (f"state_{k}", state)]
        arrays += [format_array(label, numbers) for label, numbers in labelled if numbers]
        pointers = ", ".join(label if numbers else "NULL" for label, numbers in labelled)
        unbounded = count_unbounded(answer.output_bound) + count_unbounded(answer.state_bound)
        cases.append(f"{{{case['steps']}, {len(output)}, {len(state)}, {unbounded}, {pointers}}}")
    (source,) = program.model.inputs.values()
    rows = (f"{{{p.first}, {p.ids}, {p.size}, {p.most_drawn + 1 if p.may_lack else 0}}}" for p in source.ports.values())
    names: dict[str, object] = {"name": name, "NAME": name.upper(), "ports": ", ".join(rows)}
    text = (files(__package__) / "selftest.txt").read_text("utf-8")
    values: dict[str, Any] = {
        "expected": "\n".join(arrays),
        "cases": ",\n  ".join(cases),
        "seed": check["seed"],
        "data": "state.data" if program.floats else "NULL",
        "flush": substitute(FLUSH, names) if program.model.look_ahead else "",
        "input": substitute(FEED[program.argument], names),
        **names,
    }
    return substitute(text, values)


def format_numbers(answer: Float, bound: Float, stride: int) -> list[str]:
    """Format the numbers that have a bound, each with its index."""
    triples = zip(range(0, stride * len(answer), stride), answer.tolist(), bound.tolist(), strict=True)
    return [f"{{{at}, {value!r}, {limit:.9e}}}" for at, value, limit in triples if np.isfinite(limit)]


def count_unbounded(bound: Float) -> int:
    """Count the numbers for which no bound holds; numbers that were not bounded are NaN and do not count."""
    return int(np.isinf(bound).sum())


def format_array(label: str, numbers: list[str]) -> str:
    lines = (", ".join(numbers[i : i + NUMBERS_PER_LINE]) for i in range(0, len(numbers), NUMBERS_PER_LINE))
    return f"static const Expected {label}[] = {{\n  " + ",\n  ".join(lines) + "};\n"

"""The text of the .c and the .h of a program."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from importlib.resources import files

from ...outputs import describe_numbers
from .functions import collect_functions
from .literals import format_comment, format_string, format_table
from .program import Program
from .templates import substitute

FILE_START = "/* Made by tidegate export --to c"
FROM_MATH = ("sqrtf(", "fabsf(", "INFINITY")
TEMPLATES = files(__package__)

HEAD = """\
{start}; see {header}. Compile it as C99, without fusing products and sums
 * (-ffp-contract=off) and without -ffast-math; then the results have the same bits on every machine. */
#include "{header}"

#include <float.h>
{math}#include <stddef.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \\
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "-ffast-math and its parts change what this file computes; compile it without"
#endif
#if FLT_EVAL_METHOD < 0 || FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#if defined(__i386__)
#error "floats must be computed as floats here; compile with -msse2 -mfpmath=sse"
#elif defined(__s390__)
#error "floats must be computed as floats here; compile with -fexcess-precision=fast"
#else
#error "floats must be computed as floats here; use the compiler option that makes FLT_EVAL_METHOD 0"
#endif
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=off", "no-tree-slp-vectorize") /* gcc 12's SLP fuses addsub regardless */
#else
#pragma STDC FP_CONTRACT OFF
#endif

typedef char {name}_state_must_be_as_in_the_file[sizeof({name}_state) == {NAME}_STATE_BYTES ? 1 : -1];
"""


LATE = """
 *   {name}_flush(&state, n, out);   after its last step, for n = 1 to {n}: the answers about its last steps
 *
 * The model reads {n} steps ahead. So a step gives the answer about the step {n} steps before it, and for the first {n}
 * steps {NAME}_WAITING."""
FLUSH = """

/* After the last step: give the answer that comes n steps late, for n = 1 to {NAME}_LOOK_AHEAD, in order.
 * {NAME}_WAITING: there is none, as the stream had fewer steps. Afterwards, only {name}_init may use the state. */
int {name}_flush({name}_state *state, int32_t n, float *out);"""


def generate_header(program: Program, name: str, file: str, notes: Sequence[str] = ()) -> str:
    """Generate the .h. file: its name. notes: sentences for people who use it."""
    model, NAME = program.model, name.upper()
    what = f"{NAME}_IDS {program.inputs} /* number of token ids, from 0 */"
    (source,) = model.inputs.values()
    if program.ids > 1:
        what += f"\n#define {NAME}_IDS_PER_STEP {program.ids} /* token ids that a step reads */"
    if program.ids and "" not in source.ports:
        what = f"{NAME}_IDS_PER_STEP {program.ids} /* a step reads {format_comment(source.describe_ids())} */"
    elif program.ids and len(source.ports) > 1:
        what = (
            f"{NAME}_IDS {program.inputs} /* number of tokens */\n#define {NAME}_IDS_PER_STEP {program.ids} /* a step "
            f"reads {format_comment(source.describe_ids())} */"
        )
    if not program.ids:
        what = f"{NAME}_INPUTS {program.inputs} /* floats that a step reads */"
    floats = f"\n  float data[{NAME}_STATE_FLOATS];" if program.floats else ""
    labels = ""
    if model.labels is not None:
        labels = (
            f"\n/* The label of each output, in UTF-8. */\nextern const char *const {name}_labels[{NAME}_OUTPUTS];\n"
        )
    text = (TEMPLATES / "header.txt").read_text("utf-8")
    null, outside = "/* a pointer is null */", f"/* a token id is below 0 or not below {NAME}_IDS */"
    outside = outside if list(source.ports) == [""] else "/* there is no such token id */"
    return substitute(
        text,
        {
            "MADE": FILE_START,
            "guard": f"{NAME}_H",
            "NAME": NAME,
            "name": name,
            "call": program.argument,
            "source": format_comment(source_name(file)),
            "what": what,
            "task": format_comment(model.document["task"]["kind"][:80]),
            "outputs": program.outputs,
            "floats": floats,
            "state_floats": program.floats,
            "state_bytes": model.state_bytes,
            "weight_bytes": program.weight_bytes,
            "stack_bytes": program.stack,
            "weights_hash": model.weights_hash,
            "schema_hash": model.schema_hash,
            "labels": labels,
            "notes": "".join(f"\n * {line}" for note in notes for line in textwrap.wrap(format_comment(note), 110)),
            "argument": step_argument(program),
            "input": describe_argument(program, NAME),
            "late": LATE.format(name=name, NAME=NAME, n=late) if (late := model.look_ahead) else "",
            "look_ahead": f"\n#define {NAME}_LOOK_AHEAD {late} /* steps that an answer is late */" if late else "",
            "flush": FLUSH.format(name=name, NAME=NAME, n=late) if late else "",
            "waiting": f",\n  {NAME}_WAITING = 3 /* not an error: there is no answer yet */" if late else "",
            "error": f", {null}\n  {NAME}_NO_SUCH_ID = 2 {outside}" if program.ids else f" {null}",
        },
    )


def source_name(file: str) -> str:
    """Return the .c for a .h as a command line takes it: with ./ before a name that begins like an option."""
    return ("./" if file.startswith("-") else "") + file.removesuffix(".h") + ".c"


def step_argument(program: Program) -> str:
    return {"id": "int32_t id", "ids": "const int32_t *ids", "x": "const float *x"}[program.argument]


def describe_argument(program: Program, NAME: str) -> str:
    (source,) = program.model.inputs.values()
    rows, units = source.describe_rows(), describe_numbers(program.model.outputs.values())
    if program.ids and "" not in source.ports:
        text = f"ids: {NAME}_IDS_PER_STEP; how text becomes ids is not part of this file"
    elif len(source.ports) > 1:
        text = f"ids: {NAME}_IDS_PER_STEP, of a token and its n-grams; how text becomes ids is not part of this file"
    elif program.ids > 1:
        text = f"ids: {NAME}_IDS_PER_STEP, of a token and its features; the tokenizer is not part of this file"
    elif program.ids:
        text = "id: of a token; the tokenizer, which turns text into ids, is not part of this file"
    else:
        text = f"x: {NAME}_INPUTS floats{rows and ', ' + rows}"
    text += units and ". The outputs are " + units
    return "\n * ".join(textwrap.wrap(text, 110))


def generate_source(
    program: Program, name: str, header_file: str, test: str = "", external: Collection[str] = ()
) -> str:
    """Generate the .c.

    header_file: name of the .h. test: the C of the self-test. external: tables that are not part of the text, so that
    no compiler has to parse their numbers; after loading the code, set the pointer of that name.
    """
    pointers = [f"const float *{table_name};\n" for table_name in external]
    tables = [format_table(n, values) for n, values in program.tables.items() if n not in external]
    parts = [
        *collect_functions(program.functions),
        *("\n".join(lines) + "\n" for lines in program.layer_functions),
        format_init(program, name),
        format_step(program, name),
    ]
    math = "#include <math.h>\n" if any(word in part for part in parts for word in FROM_MATH) else ""
    head = HEAD.format(start=FILE_START, header=header_file, name=name, NAME=name.upper(), math=math)
    whole = [head, format_labels(program, name), "".join(pointers), "".join(tables), *parts, test]
    return "\n".join(part for part in whole if part)


def format_labels(program: Program, name: str) -> str:
    if program.model.labels is None:
        return ""
    strings = ",\n  ".join(map(format_string, program.model.labels))
    return f"const char *const {name}_labels[{name.upper()}_OUTPUTS] = {{\n  {strings}}};\n"


def format_init(program: Program, name: str) -> str:
    """Format the function that sets zeros, and what starts at minus infinity or at other values."""
    lines = ["if (!state) return {N}_NULL;", "state->steps = 0;"]
    if program.floats:
        lines.append("for (size_t i = 0; i < {N}_STATE_FLOATS; ++i) state->data[i] = 0.0f;")
    return format_function(f"int {name}_init({name}_state *state)", [*lines, *program.init, "return {N}_OK;"], name)


def format_step(program: Program, name: str) -> str:
    pointers = "!state || !out" if program.ids == 1 else f"!state || !{program.argument} || !out"
    checks = [f"if ({pointers}) return {{N}}_NULL;"]
    (source,) = program.model.inputs.values()
    for port_name, port in source.ports.items() if program.ids > 1 else ():
        least = "" if port.may_lack else "ids[k] < 0 || "
        size = str(port.size) if port_name else "{N}_IDS"
        end = str(port.first + port.ids) if len(source.ports) > 1 else "{N}_IDS_PER_STEP"
        checks.append(f"for (size_t k = {port.first}; k < {end}; ++k)")
        checks.append(f"  if ({least}ids[k] >= {size}) return {{N}}_NO_SUCH_ID;")
    if program.ids == 1:
        checks.append("if (id < 0 || id >= {N}_IDS) return {N}_NO_SUCH_ID;")
    head = f"int {name}_step({name}_state *state, {step_argument(program)}, float *out)"
    if program.model.look_ahead:
        return format_late_step(program, name, head, checks)
    return format_function(head, [*checks, "state->steps += 1;", *program.step, "return {N}_OK;"], name)


def format_late_step(program: Program, name: str, head: str, checks: list[str]) -> str:
    """Format the functions of a model that looks ahead; a step and what follows the last one have the same layers."""
    inside = f"static int advance({name}_state *state, {step_argument(program)}, float *out, int64_t late)"
    whole = format_function(
        inside, ["const int64_t count = state->steps + late;", *program.step, "return {N}_OK;"], name
    )
    more = [f"return advance(state, {program.argument}, out, 0);"]
    step = format_function(head, [*checks, "state->steps += 1;", *more], name)
    none = "0" if program.ids == 1 else "NULL"
    flush = [
        "if (!state || !out) return {N}_NULL;",
        "if (n < 1 || n > {N}_LOOK_AHEAD) return {N}_WAITING;",
        f"return advance(state, {none}, out, n);",
    ]
    end = format_function(f"int {name}_flush({name}_state *state, int32_t n, float *out)", flush, name)
    return "\n".join([whole, step, end])


def format_function(head: str, lines: list[str], name: str) -> str:
    body = "".join(f"  {line.replace('{N}', name.upper())}\n" for line in lines)
    return f"{head} {{\n{body}}}\n"

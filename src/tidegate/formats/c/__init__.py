"""Float C99: one .c and one .h file without malloc, with the state owned by the caller and a self-test.

The code is generated from the operations of each layer's step, so any layer and any cell works. It gives the bits of
the native target `base`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...atomic import check, kind_from_start, replace
from ...errors import OptionError
from ...model import Model
from .. import ExpectedValues
from .literals import make_name, validate_name
from .program import Program, build_program
from .selftest import generate_self_test
from .source import FILE_START, generate_header, generate_source

__all__ = ["KIND", "OPTIONS", "SUFFIX", "Code", "export", "files", "generate_code", "report"]

SUFFIX: Final = ".c"
KIND: Final = kind_from_start("C that tidegate export made", FILE_START.encode())
OPTIONS: Final = {"name": "prefix of all names in the C code (default: derived from the file's name)"}


class Code(NamedTuple):
    """The text of a .c and its .h, and the program that they were generated from.

    external_tables: tables that are not part of the text. The code has a pointer of the same name for each, to be set
    after loading.
    """

    c: str
    h: str
    program: Program
    external_tables: dict[str, npt.NDArray[np.float32]]


def generate_code(
    model: Model,
    name: str,
    file: str,
    expected: list[ExpectedValues] | None = None,
    largest: int | None = None,
    notes: Sequence[str] = (),
) -> Code:
    """Generate the C of a model.

    name: prefix of all public names. file: name of the .h file. expected: the check's values for the self-test; None:
    without one. largest: tables of more numbers are left out of the text; None: all are part of it. notes: sentences
    for the .h.

    Raises: ModelFileError for a model that does not stream.
    """
    program = build_program(model)
    external = {n: values for n, values in program.tables.items() if largest is not None and values.size > largest}
    test = "" if expected is None else generate_self_test(program, name, expected)
    return Code(
        generate_source(program, name, file, test, external),
        generate_header(program, name, file, notes),
        program,
        external,
    )


def files(out: str) -> list[str]:
    """Return the names of the .c and the .h file.

    >>> files("a.c")
    ['a.c', 'a.h']
    """
    return [out, os.path.splitext(out)[0] + ".h"]


def export(
    model: Model,
    out: str,
    expected: list[ExpectedValues] | None = None,
    force: bool = False,
    name: str | None = None,
    notes: Sequence[str] = (),
) -> list[str]:
    """Write `out`, which ends with .c, and the .h next to it; return their paths. notes: sentences for the .h.

    Raises: OptionError for a name that C does not allow, a path that ends otherwise, or a file that this command did
    not write; ModelFileError for a model that does not stream; TidegateError when the disk refuses.
    """
    check_name(out)
    both = files(out)
    for file in both:
        check(file, KIND, force=force)
    code = generate_code(model, select_prefix(out, name), os.path.basename(both[1]), expected, notes=notes)
    # both are written, or neither
    with replace(both[0], KIND, force) as c, replace(both[1], KIND, force) as h:
        c.write(code.c.encode())
        h.write(code.h.encode())
    return both


def check_name(out: str) -> None:
    """Check that an #include can name the file. Raises OptionError if its name would end early or change in C."""
    stem, suffix = os.path.splitext(os.path.basename(out))
    if suffix != SUFFIX:
        raise OptionError(f"out is {out!r}; expected a path that ends with {SUFFIX}")
    if "??" in stem or not (stem + "x").isprintable() or set(stem) & set('"\\'):
        raise OptionError(
            f"out is {out!r}; the .c includes the .h by this name, so it must be printable UTF-8 without quotes, "
            "backslashes or two question marks in a row; choose another"
        )


def select_prefix(out: str, name: str | None) -> str:
    return make_name(os.path.splitext(os.path.basename(out))[0]) if name is None else validate_name(name)


def report(model: Model, files: list[str], name: str | None = None) -> dict[str, Any]:
    """Return figures of what `export` wrote: sizes in bytes, and how to compile and run the self-test."""
    program = build_program(model)
    folder, file = (("./" + part) if part.startswith("-") else part for part in os.path.split(files[0]))
    define = f"-D{select_prefix(files[0], name).upper()}_SELF_TEST"
    test = shlex.join(["cc", "-std=c99", "-O2", "-ffp-contract=off", define, file, "-lm", "-o", "self_test"])
    return {
        "weights_bytes": program.weight_bytes,
        "state_bytes": model.state_bytes,
        "stack_bytes": program.stack,
        "self_test": (f"cd {shlex.quote(folder)} && " if folder else "") + f"{test} && ./self_test",
    }

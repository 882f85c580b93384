"""Float C99: one .c and one .h, without malloc, with the state in the caller's hands and a self-test.

The code is made from the layers and their tapes, so any cell will do. It gives the bits of the native target `base`.
"""

from __future__ import annotations

import os
import shlex
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...atomic import begins, check, replace
from ...errors import OptionError
from ...model import Model
from .. import Answer
from .literals import validate_name, make_name
from .program import Program, build_program
from .selftest import generate_self_test
from .source import FILE_START, generate_header, generate_source

__all__ = ["KIND", "OPTIONS", "SUFFIX", "Code", "generate_code", "export", "files", "report"]

SUFFIX: Final = ".c"
KIND: Final = begins("C that tidegate export made", FILE_START.encode())
OPTIONS: Final = {"name": "what all names in the C start with (default: made of the file's name)"}


class Code(NamedTuple):
    """The text of a .c and its .h, what they were made of, and the tables that stayed out of the text: for each there
    is a pointer of its name, for whoever loads the compiled code to set."""

    c: str
    h: str
    program: Program
    external_tables: dict[str, npt.NDArray[np.float32]]


def generate_code(model: Model, name: str, file: str, answers: list[Answer] | None = None, largest: int | None = None) -> Code:
    """A model as C. name: what all public names start with. file: how the .h will be called. answers: the check's, for
    the self-test; None: without one. largest: tables of more numbers stay out of the text; None: all are in it.

    Raises: ModelFileError for a model that does not stream.
    """
    found = build_program(model)
    loose = {n: values for n, values in found.tables.items() if largest is not None and values.size > largest}
    test = "" if answers is None else generate_self_test(found, name, answers)
    return Code(generate_source(found, name, file, test, loose), generate_header(found, name, file), found, loose)


def files(out: str) -> list[str]:
    """Name the .c and the .h.

    >>> files("a.c")
    ['a.c', 'a.h']
    """
    return [out, os.path.splitext(out)[0] + ".h"]


def export(
    model: Model, out: str, answers: list[Answer] | None = None, force: bool = False, name: str | None = None
) -> list[str]:
    """Writes `out`, which ends with .c, and the .h beside it; their paths.

    Raises: OptionError for a name that C has not, or a path that ends otherwise or holds a file that is not of this
    command; ModelFileError for a model that does not stream; TidegateError when the disk refuses.
    """
    check_name(out)
    both = files(out)
    for file in both:
        check(file, KIND, force=force)
    made = generate_code(model, select_prefix(out, name), os.path.basename(both[1]), answers)
    # both or, where one cannot be written, neither
    with replace(both[0], KIND, force) as c, replace(both[1], KIND, force) as h:
        c.write(made.c.encode())
        h.write(made.h.encode())
    return both


def check_name(out: str) -> None:
    """Raises OptionError for a file that no #include can name: it would end, or be another one, in C."""
    stem, suffix = os.path.splitext(os.path.basename(out))
    if suffix != SUFFIX:
        raise OptionError(f"out is {out!r}; expected a path that ends with {SUFFIX}")
    if "??" in stem or not (stem + "x").isprintable() or set(stem) & set('"\\'):
        raise OptionError(
            f"out is {out!r}; the .c includes the .h by this name, so it must be printable UTF-8 without quotes, "
            "backslashes and two question marks in a row; choose another"
        )


def select_prefix(out: str, name: str | None) -> str:
    return make_name(os.path.splitext(os.path.basename(out))[0]) if name is None else validate_name(name)


def report(model: Model, files: list[str], name: str | None = None) -> dict[str, Any]:
    """Figures of what `export` wrote: bytes, and how to compile and run its self-test."""
    found = build_program(model)
    folder, file = (("./" + part) if part.startswith("-") else part for part in os.path.split(files[0]))
    define = f"-D{select_prefix(files[0], name).upper()}_SELF_TEST"
    test = shlex.join(["cc", "-std=c99", "-O2", "-ffp-contract=off", define, file, "-lm", "-o", "self_test"])
    return {
        "weights_bytes": found.weight_bytes,
        "state_bytes": model.state_bytes,
        "stack_bytes": found.stack,
        "self_test": (f"cd {shlex.quote(folder)} && " if folder else "") + f"{test} && ./self_test",
    }

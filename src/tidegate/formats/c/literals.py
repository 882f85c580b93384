"""Names, strings, numbers and comments of C. Whatever a file from a stranger says, it stays what it is here: no text
ends a comment or a string, and a name is letters, digits and underscores.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelFileError, OptionError

MAX_NAME = 64
MAX_STRING = 4095  # what C99 promises to hold
RESERVED = re.compile(r"layer\d")  # how the names of a model's own tables start
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
NUMBERS_A_LINE = 8


def validate_name(name: str) -> str:
    """A prefix for C. Raises OptionError unless it is letters, digits and underscores from a letter on."""
    if not NAME.match(name) or len(name) > MAX_NAME or RESERVED.match(name):
        raise OptionError(
            f"name is {name[:80]!r}; expected a C identifier of at most {MAX_NAME} letters, digits and underscores "
            "that starts with a letter, and not like layer1"
        )
    return name


def make_name(stem: str) -> str:
    """A prefix made of a file's name.

    >>> name_from("my-intents.v2"), name_from("7"), name_from("größe")
    ('my_intents_v2', 'model_7', 'gr__e')
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", stem)[: MAX_NAME - 6]
    return name if NAME.match(name) and not RESERVED.match(name) else f"model_{name}"


class UniqueNames:
    """C names for the names of a model, which may have letters that C has not; no two become one."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def make(self, prefix: str, name: str) -> str:
        """`prefix` and the name, its letters outside ASCII spelt as uXXXX.

        >>> names = Names()
        >>> names.make("x_", "z"), names.make("x_", "ζ"), names.make("x_", "z")
        ('x_z', 'x_u03b6', 'x_z_')
        """
        found = prefix + "".join(c if c.isascii() else f"u{ord(c):04x}" for c in name)
        while found in self.used:
            found += "_"
        self.used.add(found)
        return found


def format_comment(text: str) -> str:
    """A text that may stand in a comment.

    >>> comment("my */ cell\\n")
    'my * / cell?'
    """
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)
    while "??" in plain:  # a trigraph, which may be half of a line's end or of the comment's
        plain = plain.replace("??", "? ?")
    return plain.replace("*/", "* /").replace("/*", "/ *")


def format_string(text: str) -> str:
    """A string literal of the text in UTF-8.

    >>> string('say "hä??"')
    '"say \\\\"h\\\\303\\\\244\\\\?\\\\?\\\\""'
    """
    data = text.encode()
    if len(data) > MAX_STRING:
        raise ModelFileError(
            f"the label {text[:40]!r}... has {len(data)} bytes; a string in C has at most {MAX_STRING}"
        )
    if 0 in data:
        raise ModelFileError(f"the label {text[:40]!r} has a character 0, which ends a string in C; name it otherwise")
    return '"' + "".join(map(format_character, data)) + '"'


def format_character(byte: int) -> str:
    if byte in b'"\\?':
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def format_float(value: Any) -> str:
    """A float as a literal with the fewest digits that read back the same.

    >>> number(0.1), number(1), number(-1e-5), number(1e16)
    ('0.1f', '1.0f', '-1e-05f', '1e+16f')
    """
    return str(np.float32(value)) + "f"


def format_hex_float(value: float) -> str:
    """A float32 in C99's hexadecimal form: the very bits, and what compilers read fastest.

    >>> exact(0.75), exact(-1.0), exact(0.0), exact(2.0**-149)
    ('0x1.8p-1f', '-0x1p+0f', '0.0f', '0x1p-149f')
    """
    digits, p, exponent = value.hex().partition("p")
    return "0.0f" if not value and digits[0] != "-" else f"{digits.rstrip('0').rstrip('.')}{p}{exponent}f"


def format_table(name: str, values: npt.NDArray[np.float32]) -> str:
    """The definition of an array of floats."""
    found = list(map(format_hex_float, values.reshape(-1).tolist()))
    rows = (", ".join(found[i : i + NUMBERS_A_LINE]) for i in range(0, len(found), NUMBERS_A_LINE))
    return f"static const float {name}[{len(found)}] = {{\n  " + ",\n  ".join(rows) + "};\n"

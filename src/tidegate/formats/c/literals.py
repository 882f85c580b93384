"""C names, strings, numbers and comments, safe for model files from strangers: no text can end a comment or a string,
and a name consists of letters, digits and underscores.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelFileError, OptionError

MAX_NAME = 64
MAX_STRING = 4095  # the length that every C99 compiler accepts
RESERVED = re.compile(r"layer\d")  # start of the names of a model's tables
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
NUMBERS_PER_LINE = 8


def validate_name(name: str) -> str:
    """Return a prefix for C. Raises OptionError unless it is a letter, then letters, digits and underscores."""
    if not NAME.match(name) or len(name) > MAX_NAME or RESERVED.match(name):
        raise OptionError(
            f"name is {name[:80]!r}; expected a C identifier of at most {MAX_NAME} letters, digits and underscores "
            "that starts with a letter and not like layer1"
        )
    return name


def make_name(stem: str) -> str:
    """Make a prefix from a file's name.

    >>> make_name("my-intents.v2"), make_name("7"), make_name("größe")
    ('my_intents_v2', 'model_7', 'gr__e')
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", stem)[: MAX_NAME - 6]
    return name if NAME.match(name) and not RESERVED.match(name) else f"model_{name}"


class UniqueNames:
    """Unique C names for the names of a model, which may contain letters that C does not allow."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def make(self, prefix: str, name: str) -> str:
        """Return the prefix and the name, with letters outside ASCII spelt as uXXXX and _ for what is no letter.

        >>> names = UniqueNames()
        >>> names.make("x_", "z"), names.make("x_", "ζ"), names.make("x_", "z"), names.make("x_", "p.a */")
        ('x_z', 'x_u03b6', 'x_z_', 'x_p_a___')
        """
        ascii_only = re.sub(r"[^A-Za-z0-9_]", lambda c: "_" if c[0].isascii() else f"u{ord(c[0]):04x}", name)
        unique = prefix + ascii_only
        while unique in self.used:
            unique += "_"
        self.used.add(unique)
        return unique


def format_comment(text: str) -> str:
    """Make a text safe inside a comment.

    >>> format_comment("my */ cell\\n")
    'my * / cell?'
    """
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)
    while "??" in plain:  # part of a trigraph, which could end a line or the comment
        plain = plain.replace("??", "? ?")
    return plain.replace("*/", "* /").replace("/*", "/ *")


def format_string(text: str) -> str:
    """Return a string literal of the text in UTF-8.

    >>> format_string('say "hä??"')
    '"say \\\\"h\\\\303\\\\244\\\\?\\\\?\\\\""'
    """
    data = text.encode()
    if len(data) > MAX_STRING:
        raise ModelFileError(
            f"the label {text[:40]!r}... has {len(data)} bytes; a string in C can have at most {MAX_STRING}"
        )
    if 0 in data:
        raise ModelFileError(
            f"the label {text[:40]!r} contains a character 0, which ends a string in C; choose another name"
        )
    return '"' + "".join(map(format_character, data)) + '"'


def format_character(byte: int) -> str:
    if byte in b'"\\?':
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def format_float(value: Any) -> str:
    """Return a float literal with the fewest digits that give the same float.

    >>> format_float(0.1), format_float(1), format_float(-1e-5), format_float(1e16)
    ('0.1f', '1.0f', '-1e-05f', '1e+16f')
    """
    return str(np.float32(value)) + "f"


def format_hex_float(value: float) -> str:
    """Return a float32 in C99's hexadecimal form, which has the exact bits and is fastest to parse.

    >>> format_hex_float(0.75), format_hex_float(-1.0), format_hex_float(0.0), format_hex_float(2.0**-149)
    ('0x1.8p-1f', '-0x1p+0f', '0.0f', '0x1p-149f')
    """
    digits, p, exponent = value.hex().partition("p")
    return "0.0f" if not value and digits[0] != "-" else f"{digits.rstrip('0').rstrip('.')}{p}{exponent}f"


def format_table(name: str, values: npt.NDArray[np.float32]) -> str:
    """Return the definition of an array of floats."""
    numbers = list(map(format_hex_float, values.reshape(-1).tolist()))
    rows = (", ".join(numbers[i : i + NUMBERS_PER_LINE]) for i in range(0, len(numbers), NUMBERS_PER_LINE))
    return f"static const float {name}[{len(numbers)}] = {{\n  " + ",\n  ".join(rows) + "};\n"

"""Character classes and case folding of one named version of Unicode.

The table is a file of this package rather than the running Python's `unicodedata`, so that a model gives the same
tokens on every Python. It is read when the first non-ASCII character arrives.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from functools import cache

UNICODE = "unicode-14.0.0"
VERSIONS = (UNICODE,)

_CACHED = 8192  # characters whose class or folding is cached; the rest are looked up each time


class Classes(dict[int, str]):
    """Class letter by code point, for `str.translate`: w word, d digit, i ideograph, o other, s separator.

    Args:
        starts: first code point of each run, ascending from 0.
        letters: class letter of each run.

    >>> classes, folds = load("unicode-14.0.0")
    >>> "Año 7: 世界".translate(classes)
    'wwwsdosii'
    """

    def __init__(self, starts: list[int], letters: str) -> None:
        super().__init__()
        self._starts = starts
        self._letters = letters

    def __missing__(self, code: int) -> str:
        letter = self._letters[bisect_right(self._starts, code) - 1]
        if len(self) < _CACHED:
            self[code] = letter
        return letter


class Folds(dict[int, str]):
    """Full case folding by code point, for `str.translate`.

    >>> classes, folds = load("unicode-14.0.0")
    >>> "Straße ΣΊΣΥΦΟΣ".translate(folds)
    'strasse σίσυφοσ'
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if len(self) < _CACHED:
            self[code] = character
        return character


@cache
def load(version: str) -> tuple[Classes, Folds]:
    """Load the classes and the folding of one version; each is read once.

    Args:
        version: one of `VERSIONS`.
    """
    path = os.path.join(os.path.dirname(__file__), f"{version}.txt")
    with open(path, encoding="ascii") as file:
        _, _, body = file.read().partition("classes\n")
    runs, _, folds = body.partition("folds\n")
    return _classes(runs), _folds(folds)


def _classes(lines: str) -> Classes:
    fields = lines.split()
    return Classes([int(code, 16) for code in fields[::2]], "".join(fields[1::2]))


def _folds(lines: str) -> Folds:
    folds = Folds()
    for line in lines.splitlines():
        first, *rest = line.split()
        if rest[0] == "=":
            folds[int(first, 16)] = "".join(chr(int(code, 16)) for code in rest[1:])
        else:
            last, step, shift = int(rest[0], 16), int(rest[1], 16), int(rest[2])
            folds.update({code: chr(code + shift) for code in range(int(first, 16), last + 1, step)})
    return folds

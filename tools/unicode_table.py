"""Make the character table of `tidegate.features` from this Python's `unicodedata`.

    python tools/unicode_table.py             write src/tidegate/features/unicode-VERSION.txt
    python tools/unicode_table.py --check     exit 1 if that file differs from what would be written

The version is `unicodedata.unidata_version`, so one Python makes one table: Python 3.11 makes unicode-14.0.0.
A table that a released model names stays in the package for ever; a newer version is a new file beside it.

Classes: `w` word character, `d` decimal digit (a word character too), `i` ideograph or kana (a token of
its own), `o` other (a token of its own), `s` separator (white space, control and format characters).
Folds: full case folding, `FIRST LAST STEP SHIFT` for runs of single characters, `CODE = CODE ...` for others.
All numbers but the signed shift are hexadecimal.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "src" / "tidegate" / "features"
UNSPACED = (
    "CJK UNIFIED",
    "CJK COMPATIBILITY IDEOGRAPH",
    "IDEOGRAPHIC",
    "HANGZHOU",
    "HIRAGANA",
    "HENTAIGANA",
    "KATAKANA",
)


def character_class(character: str) -> str:
    """The class letter of one character.

    >>> [character_class(c) for c in "a_5 \\u0301-\\u4e00\\u200d"]
    ['w', 'w', 'd', 's', 'w', 'o', 'i', 's']
    """
    category = unicodedata.category(character)
    if category[0] == "Z" or category in ("Cc", "Cf"):
        return "s"
    if category == "Nd":
        return "d"
    if category[0] in "LN" and any(word in unicodedata.name(character, "") for word in UNSPACED):
        return "i"
    return "w" if category[0] in "LMN" or character == "_" else "o"


def class_lines() -> Iterator[str]:
    """Lines `FIRST CLASS`, one where the class changes."""
    last = ""
    for code in range(sys.maxunicode + 1):
        letter = character_class(chr(code))
        if letter != last:
            yield f"{code:x} {letter}"
        last = letter


def fold_lines() -> Iterator[str]:
    """Lines of the folding: runs of equal step (1 or 2) and equal shift first, then one-to-many."""
    folds = {code: chr(code).casefold() for code in range(sys.maxunicode + 1)}
    folds = {code: folded for code, folded in folds.items() if folded != chr(code)}
    simple = [(code, ord(folded) - code) for code, folded in folds.items() if len(folded) == 1]
    run = simple[:1]
    for before, here in pairwise([*simple, (sys.maxunicode + 9, 0)]):
        step = here[0] - before[0]
        fits = here[1] == before[1] and step in (1, 2) and (len(run) == 1 or step == run[1][0] - run[0][0])
        if fits:
            run.append(here)
            continue
        width = run[1][0] - run[0][0] if len(run) > 1 else 1
        yield f"{run[0][0]:x} {run[-1][0]:x} {width:x} {run[0][1]:+d}"
        run = [here]
    for code, folded in folds.items():
        if len(folded) > 1:
            yield f"{code:x} = {' '.join(f'{ord(c):x}' for c in folded)}"


def table() -> str:
    """The whole file as text."""
    head = f"tidegate character table unicode-{unicodedata.unidata_version}; made by tools/unicode_table.py"
    return "\n".join([head, "classes", *class_lines(), "folds", *fold_lines(), ""])


def main() -> int:
    """Write or check the file; the exit status."""
    path = FOLDER / f"unicode-{unicodedata.unidata_version}.txt"
    if "--check" in sys.argv[1:]:
        same = path.exists() and path.read_text("ascii") == table()
        print(f"{path.name}: {'as it should be' if same else 'differs; run tools/unicode_table.py'}")
        return 0 if same else 1
    path.write_text(table(), "ascii", newline="\n")
    print(f"wrote {path.name}, {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

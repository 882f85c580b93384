"""Names that look alike and differ: by white space, characters that do not show, case, or how accents are written."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

EMPTY = frozenset(("nan", "NaN", "NaT", "None", "null", "NULL", "NA", "N/A", "n/a", "<NA>", "#N/A"))  # others' gaps
MOST = 8  # warnings of one kind


def seen(name: str) -> str:
    """Reduce a name to what a reader sees of it: spaces as one, nothing that shows nothing, accents joined.

    >>> seen("card\u00a0\u200blost "), seen("e\u0301") == "\u00e9"
    ('card lost', True)
    """
    if name.isascii() and name.isprintable() and name == " ".join(name.split()):
        return name
    shown = "".join(
        " " if c.isspace() else c for c in name if c.isspace() or unicodedata.category(c) not in ("Cf", "Cc")
    )
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def difference(one: str, other: str) -> str:
    """Tell in words by what two names differ that look alike.

    >>> difference("card", "card "), difference("Card", "card"), difference("e\u0301", "\u00e9")
    ('a space at the end', 'upper and lower case', 'how accents are written')
    """
    if one.casefold() == other.casefold():
        return "upper and lower case"
    if seen(one) != seen(other):
        return "upper and lower case and what does not show"
    joined = [unicodedata.normalize("NFC", name) for name in (one, other)]
    if joined[0] == joined[1]:
        return "how accents are written"
    if joined[0].strip() == joined[1].strip():
        ends = [name != name.rstrip() for name in joined]
        return f"a space at the {'end' if ends[0] != ends[1] else 'beginning'}"
    special = sorted({c for c in joined[0] + joined[1] if c not in seen(c) and c != " "})
    if special:
        return " and ".join(
            f"U+{ord(c):04X} ({unicodedata.name(c, 'a control character').lower()})" for c in special[:3]
        )
    return "the number of spaces"


def pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """List the pairs of names that look alike, case aside, the one that stands first with each of the others.

    >>> pairs(["card", "Card", "cash", "card "])
    [('card', 'Card'), ('card', 'card ')]
    """
    alike = defaultdict(list)
    for name in dict.fromkeys(names):
        alike[seen(name).casefold()].append(name)
    return [(first, other) for first, *others in alike.values() for other in others]


def hint(wanted: Iterable[str], there: Iterable[str]) -> str:
    """Tell in words which of the names that are there only look like wanted ones; "" if none does.

    >>> hint(["x", "y"], ["x", "y "])
    "; 'y ' differs from 'y' by a space at the end"
    """
    there = list(there)
    found = [(name, other) for name in wanted if name not in there for other in there if seen(other) == seen(name)]
    return "".join(f"; {other!r} differs from {name!r} by {difference(name, other)}" for name, other in found[:3])


def warnings(counts: Mapping[str, int], what: str, unit: str = "row") -> list[str]:
    """Warn in a sentence each of names that look alike, and of those that other programs write for an empty cell.

    Args:
        counts: how often each name stands.
        what: the names are, such as "label".
        unit: what is counted, "row" or "series".

    >>> warnings({"card": 120, "card ": 3}, "label")
    ["warning: labels 'card' (120 rows) and 'card ' (3 rows) differ only by a space at the end; if they are one label, write it one way"]
    """  # noqa: E501

    def shown(name: str) -> str:
        many = f"{counts[name]:,} {unit}{'s' * (unit != 'series' and counts[name] != 1)}"
        return f"{name!r} ({many})"

    found = sorted(counts, key=lambda name: -counts[name])
    said = [
        f"warning: {what}s {shown(one)} and {shown(other)} differ only by {difference(one, other)}; if they are one "
        f"{what}, write it one way"
        for one, other in pairs(found)
    ]
    said += [
        f"warning: {what} {shown(name)} is what other programs write for an empty cell; leave such rows out if it is"
        for name in found
        if name.strip() in EMPTY
    ]
    return said[:MOST] + [f"warning: so it is with {len(said) - MOST:,} more {what}s"] * (len(said) > MOST)

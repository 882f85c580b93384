"""Find names that look alike but differ: in white space, invisible characters, case, or how accents are written."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

EMPTY = frozenset(
    ("nan", "NaN", "NaT", "None", "null", "NULL", "NA", "N/A", "n/a", "<NA>", "#N/A")
)  # what other programs write for missing values
MOST = 8  # warnings of one kind


def seen(name: str) -> str:
    """Return a name as a reader sees it: single spaces, no invisible characters, accents combined.

    >>> seen("card\u00a0\u200blost "), seen("e\u0301") == "\u00e9"
    ('card lost', True)
    """
    if name.isascii() and name.isprintable() and name == " ".join(name.split()):
        return name
    visible = "".join(
        " " if c.isspace() else c for c in name if c.isspace() or unicodedata.category(c) not in ("Cf", "Cc")
    )
    return unicodedata.normalize("NFC", " ".join(visible.split()))


def difference(one: str, other: str) -> str:
    """Describe in which respect two names differ that look alike.

    >>> difference("card", "card "), difference("Card", "card"), difference("e\u0301", "\u00e9")
    ('a space at the end', 'upper and lower case', 'how accents are written')
    """
    if one.casefold() == other.casefold():
        return "upper and lower case"
    if seen(one) != seen(other):
        return "upper and lower case and invisible characters"
    composed = [unicodedata.normalize("NFC", name) for name in (one, other)]
    if composed[0] == composed[1]:
        return "how accents are written"
    if composed[0].strip() == composed[1].strip():
        ends = [name != name.rstrip() for name in composed]
        return f"a space at the {'end' if ends[0] != ends[1] else 'beginning'}"
    special = sorted({c for c in composed[0] + composed[1] if c not in seen(c) and c != " "})
    if special:
        return " and ".join(
            f"U+{ord(c):04X} ({unicodedata.name(c, 'a control character').lower()})" for c in special[:3]
        )
    return "the number of spaces"


def find_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of names that look alike when case is ignored: the first one with each of the others.

    >>> find_pairs(["card", "Card", "cash", "card "])
    [('card', 'Card'), ('card', 'card ')]
    """
    alike = defaultdict(list)
    for name in dict.fromkeys(names):
        alike[seen(name).casefold()].append(name)
    return [(first, other) for first, *others in alike.values() for other in others]


def hint(wanted: Iterable[str], existing: Iterable[str]) -> str:
    """Describe which existing names look like wanted ones that are missing; "" if there are none.

    >>> hint(["x", "y"], ["x", "y "])
    "; 'y ' differs from 'y' by a space at the end"
    """
    existing = list(existing)
    alike = [
        (name, other) for name in wanted if name not in existing for other in existing if seen(other) == seen(name)
    ]
    return "".join(f"; {other!r} differs from {name!r} by {difference(name, other)}" for name, other in alike[:3])


def warnings(counts: Mapping[str, int], what: str, unit: str = "row") -> list[str]:
    """Return warnings about names that look alike, and names that other programs write for missing values.

    Args:
        counts: how often each name occurs.
        what: what the names are, such as "label".
        unit: what is counted, "row", "step" or "series".

    >>> warnings({"card": 120, "card ": 3}, "label")
    ["warning: labels 'card' (120 rows) and 'card ' (3 rows) differ only by a space at the end; if they are one label, write it one way"]
    """  # noqa: E501

    def with_count(name: str) -> str:
        many = f"{counts[name]:,} {unit}{'s' * (unit != 'series' and counts[name] != 1)}"
        return f"{name!r} ({many})"

    by_count = sorted(counts, key=lambda name: -counts[name])
    sentences = [
        f"warning: {what}s {with_count(one)} and {with_count(other)} differ only by {difference(one, other)}; if they "
        f"are one {what}, write it one way"
        for one, other in find_pairs(by_count)
    ]
    sentences += [
        f"warning: {what} {with_count(name)} is what other programs write for a missing value; if it is one, leave "
        "such rows out"
        for name in by_count
        if name.strip() in EMPTY
    ]
    return sentences[:MOST] + [f"warning: the same holds for {len(sentences) - MOST:,} more {what}s"] * (
        len(sentences) > MOST
    )

"""Find names that look alike but differ: in white space, invisible characters, case, or how accents are written."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

EMPTY = frozenset(
    ("nan", "NaN", "NaT", "None", "null", "NULL", "NA", "N/A", "n/a", "<NA>", "#N/A")
)  # what other programs write for missing values
MOST = 8  # warnings of one kind


def visible_form(name: str) -> str:
    """Return a name as a reader sees it: single spaces, no invisible characters, accents combined.

    >>> visible_form("card\u00a0\u200blost "), visible_form("e\u0301") == "\u00e9"
    ('card lost', True)
    """
    if name.isascii() and name.isprintable() and name == " ".join(name.split()):
        return name
    visible = "".join(
        " " if c.isspace() else c for c in name if c.isspace() or unicodedata.category(c) not in ("Cf", "Cc")
    )
    return unicodedata.normalize("NFC", " ".join(visible.split()))


def describe_difference(one: str, other: str) -> str:
    """Describe in which respect two names differ that look alike.

    >>> describe_difference("card", "card "), describe_difference("Card", "card")
    ('a space at the end', 'upper and lower case')
    >>> describe_difference("e\u0301", "\u00e9")
    'how accents are written'
    """
    if one.casefold() == other.casefold():
        return "upper and lower case"
    if visible_form(one) != visible_form(other):
        return "upper and lower case and invisible characters"
    composed = [unicodedata.normalize("NFC", name) for name in (one, other)]
    if composed[0] == composed[1]:
        return "how accents are written"
    if composed[0].strip() == composed[1].strip():
        ends = [name != name.rstrip() for name in composed]
        return f"a space at the {'end' if ends[0] != ends[1] else 'beginning'}"
    special = sorted({c for c in composed[0] + composed[1] if c not in visible_form(c) and c != " "})
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
        alike[visible_form(name).casefold()].append(name)
    return [(first, other) for first, *others in alike.values() for other in others]


def describe_lookalikes(wanted: Iterable[str], existing: Iterable[str]) -> str:
    """Describe which existing names look like wanted ones that are missing; "" if there are none.

    >>> describe_lookalikes(["x", "y"], ["x", "y "])
    "; 'y ' differs from 'y' by a space at the end"
    """
    existing = list(existing)
    alike = [
        (name, other)
        for name in wanted
        if name not in existing
        for other in existing
        if visible_form(other) == visible_form(name)
    ]
    return "".join(
        f"; {other!r} differs from {name!r} by {describe_difference(name, other)}" for name, other in alike[:3]
    )


def make_warnings(counts: Mapping[str, int], what: str, unit: str = "row") -> list[str]:
    """Return warnings about names that look alike, and names that other programs write for missing values.

    Args:
        counts: how often each name occurs.
        what: what the names are, such as "label".
        unit: what is counted, "row", "step" or "series".

    >>> make_warnings({"card": 120, "card ": 3}, "label")
    ["warning: labels 'card' (120 rows) and 'card ' (3 rows) differ only by a space at the end; if they are one label, write it one way"]
    """  # noqa: E501

    def with_count(name: str) -> str:
        many = f"{counts[name]:,} {unit}{'s' * (unit != 'series' and counts[name] != 1)}"
        return f"{name!r} ({many})"

    by_count = sorted(counts, key=lambda name: -counts[name])
    sentences = [
        f"warning: {what}s {with_count(one)} and {with_count(other)} differ only by {describe_difference(one, other)}; "
        f"if they are one {what}, write it one way"
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

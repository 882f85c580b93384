"""Names that look alike, and how they differ."""

from __future__ import annotations

import time
import unicodedata

import pytest

from tidegate.data.lookalikes import describe_difference, find_pairs, make_warnings


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("card", "card ", "a space at the end"),
        ("card", "\tcard", "a space at the beginning"),
        ("card", "card\u00a0", "a space at the end"),
        ("card lost", "card\u00a0lost", "U+00A0 (no-break space)"),
        ("card lost", "card  lost", "the number of spaces"),
        ("card", "ca\u200brd", "U+200B (zero width space)"),
        ("card", "\ufeffcard", "U+FEFF (zero width no-break space)"),
        ("café", unicodedata.normalize("NFD", "café"), "how accents are written"),
        ("Card", "card", "upper and lower case"),
        ("Card", "card ", "upper and lower case and invisible characters"),
    ],
)
def test_names_that_look_alike_are_paired_and_told_apart(one: str, other: str, how: str) -> None:
    assert find_pairs([one, "cash", other]) == [(one, other)]
    assert describe_difference(one, other) == describe_difference(other, one) == how


def test_names_that_differ_to_the_eye_are_no_pair() -> None:
    assert find_pairs(["card", "cards", "c ard", "", "1", "1.0", "é", "e"]) == []


def test_warnings_have_counts_and_are_not_without_end() -> None:
    found = make_warnings({"card ": 1, "card": 1200, "None": 3, "none": 1, "x": 9}, "label")
    assert found[0].startswith(
        "warning: labels 'card' (1,200 rows) and 'card ' (1 row) differ only by a space at the end"
    )
    assert found[1].startswith("warning: labels 'None' (3 rows) and 'none' (1 row) differ only by upper and lower case")
    assert found[2].startswith("warning: label 'None' (3 rows) is what other programs write for a missing value")
    many = make_warnings({name: 1 for i in range(30) for name in (f"n{i}", f"N{i}")}, "group", "series")
    assert len(many) == 9
    assert many[-1] == "warning: the same holds for 22 more groups"


def test_a_hundred_thousand_names_are_compared_in_a_moment() -> None:
    begun = time.process_time()
    assert find_pairs(f"patient {i}" for i in range(100_000)) == []
    assert time.process_time() - begun < 5

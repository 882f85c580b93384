"""Spans of tagged tokens, and their precision, recall and F1 as the script `conlleval` of CoNLL-2000 counts them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]

SCHEME_TAG = re.compile(r"O|[BIES](-.*)?")
OUTSIDE, BEGIN, INSIDE, END, SINGLE = range(5)
PREFIXES = {"B": BEGIN, "I": INSIDE, "E": END, "S": SINGLE}


@dataclass(frozen=True)
class Spans:
    """The spans of rows of tags. starts, ends: int64 [spans], places among all tokens of all rows, the end included;
    types: int64 [spans], indices into `names`."""

    starts: Codes
    ends: Codes
    types: Codes
    names: list[str]


def follows_scheme(tags: Iterable[str]) -> bool:
    """Return whether tags mark spans: each is O, or begins with B, I, E or S and a hyphen, and one is not O.

    >>> follows_scheme(["O", "B-city", "I-city"]), follows_scheme(["NN", "VB"]), follows_scheme(["O"])
    (True, False, False)
    """
    distinct = set(tags)
    return distinct != {"O"} and bool(distinct) and all(map(SCHEME_TAG.fullmatch, distinct))


def find_spans(rows: Sequence[Sequence[str]], names: list[str] | None = None) -> Spans:
    """Find the spans of rows of tags, in the schemes BIO, IOB1 and IOBES alike.

    A span begins at B or S, after E or S, after O or the beginning of the row, and where the type changes; so I after O
    begins one. It ends before the next one, before O and at the end of its row. A tag's type is what follows its first
    hyphen.

    Args:
        rows: the tags of each row.
        names: types that are known already; further ones are appended to this list.

    >>> spans = find_spans([["O", "I-city", "I-city"], ["I-city", "B-city", "I-day"]])
    >>> [(spans.names[k], int(a), int(b)) for k, a, b in zip(spans.types, spans.starts, spans.ends)]
    [('city', 1, 2), ('city', 3, 3), ('city', 4, 4), ('day', 5, 5)]
    """
    names = [] if names is None else names
    prefix, kind = _encode(rows, names)
    lengths = np.array([len(row) for row in rows], np.int64)
    first = np.zeros(len(prefix) + 1, bool)  # of its row; the place after the last token counts as one
    first[np.append(0, np.cumsum(lengths))] = True
    inside = np.append(prefix != OUTSIDE, False)
    before, kind_before = np.append(OUTSIDE, prefix), np.append(-1, kind)
    opens = np.isin(before, (OUTSIDE, END, SINGLE)) | (kind_before != np.append(kind, -1))
    begins = inside & (first | opens | np.isin(np.append(prefix, OUTSIDE), (BEGIN, SINGLE)))
    stops = inside[:-1] & (begins | first | ~inside)[1:]
    starts = np.flatnonzero(begins)
    return Spans(starts, np.flatnonzero(stops), kind[starts], names)


def score_spans(predicted: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Compute precision, recall and F1 of the spans of all rows together, and of each type.

    A span counts as found if its first token, its last token and its type are right. A figure whose divisor is zero is
    0, as in `conlleval`.

    Args:
        predicted, truth: the tags of each row; the rows have equal lengths.

    >>> figures = score_spans([["B-city", "O", "B-day"]], [["B-city", "I-city", "B-day"]])
    >>> figures["span_f1"], figures["types"]["day"]["f1"], figures["types"]["city"]["support"]
    (0.5, 1.0, 1)
    """
    names: list[str] = []
    found, real = find_spans(predicted, names), find_spans(truth, names)
    tokens = sum(map(len, truth))
    hits = real.types[np.isin(_keys(real, tokens), _keys(found, tokens))]
    counts = [np.bincount(types, minlength=len(names)) for types in (hits, found.types, real.types)]
    figures = [_figures(*map(int, column)) for column in zip(*counts, strict=True)]
    whole = _figures(len(hits), len(found.types), len(real.types))
    return {
        **{f"span_{name}": value for name, value in whole.items()},
        "types": {name: figures[k] for k, name in sorted(enumerate(names), key=lambda item: item[1])},
    }


def span_f1(predicted: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> float:
    """Compute F1 of the spans of all rows together; see `score_spans`.

    >>> span_f1([["O", "I-city"]], [["O", "B-city"]])
    1.0
    """
    return float(score_spans(predicted, truth)["span_f1"])


def _encode(rows: Sequence[Sequence[str]], names: list[str]) -> tuple[Codes, Codes]:
    """Return the prefix and the type of all tags, [tokens] each; the type of O is -1. Appends new types to `names`."""
    tags = [tag for row in rows for tag in row]
    indices = {name: index for index, name in enumerate(names)}
    codes: dict[str, tuple[int, int]] = {}
    for tag in dict.fromkeys(tags):
        prefix, _, name = tag.partition("-")
        kind = -1 if prefix == "O" else indices.setdefault(name, len(indices))
        codes[tag] = OUTSIDE if kind < 0 else PREFIXES.get(prefix, INSIDE), kind
    names[:] = indices
    table = np.array([codes[tag] for tag in tags], np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _keys(spans: Spans, tokens: int) -> Codes:
    """Return a number for each span, equal for equal spans. tokens: the number of all tokens."""
    return (spans.types * tokens + spans.starts) * tokens + spans.ends


def _figures(hits: int, predicted: int, support: int) -> dict[str, float | int]:
    precision, recall = hits / predicted if predicted else 0.0, hits / support if support else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}

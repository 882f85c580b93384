"""Find the nearest of many vectors, by the cosine of the angle between them.

The search is exact. Products of blocks of vectors in float32 only find candidates: all whose similarity could be among
the largest, whatever the rounding. Those are compared in float64, each by a sum in one order, so that neither the other
vectors nor the number of threads change a bit. Similarities count to 12 decimals, so that equal vectors, and multiples
of one vector, are equally near.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import DataError, OptionError

QUERIES: Final = 512  # vectors whose neighbours are searched at once
CORPUS: Final = 8192  # vectors of the corpus that they are compared with at once
DECIMALS: Final = 12  # of a similarity that count; those behind are rounding
KEPT: Final = 1 << 22  # neighbours that are kept at once
NUMBERS: Final = 1 << 21  # numbers that are multiplied at once in float64
CROWD: Final = 8  # candidates for each neighbour from which on it pays to rank them before they are compared

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.int64]


class Nearest(NamedTuple):
    """The neighbours of n vectors, each row from the most similar on.

    rows: int64 [n, k], indices of vectors of the corpus; -1 where a vector has no direction. similarities: float32 [n,
    k], from -1 to 1; NaN there.
    """

    rows: Indices
    similarities: npt.NDArray[np.float32]


def find_nearest(vectors: Any, corpus: Any, count: int) -> Nearest:
    """Return the nearest vectors of a corpus for each of some vectors, by cosine similarity.

    vectors: floating-point numbers [n, width]. corpus: [m, width]. count: how many neighbours each gets; fewer if the
    corpus has fewer. Of equally near ones, the first comes first. A row of NaN or zeros has no direction: it is
    nobody's neighbour and has none. Memory beyond the arguments and the result is bounded, whatever n and m are.

    Raises DataError for arrays of other shapes, and infinite numbers; OptionError for a count below 1.

    >>> corpus = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    >>> found = find_nearest(np.array([[0.0, 1.0]]), corpus, 2)
    >>> found.rows.tolist(), found.similarities.round(3).tolist()
    ([[1, 2]], [[1.0, 0.7070000171661377]])
    """
    blocks = list(Search(corpus).run(vectors, count))
    width = blocks[0].rows.shape[1] if blocks else 0
    rows = np.concatenate([np.empty((0, width), np.int64), *(one.rows for one in blocks)])
    return Nearest(rows, np.concatenate([np.empty((0, width), np.float32), *(one.similarities for one in blocks)]))


class Search:
    """A corpus that is searched. usable: which of its vectors have a direction, bool [m]. count: how many those are."""

    def __init__(self, corpus: Any, name: str = "the corpus") -> None:
        self.corpus = as_vectors(corpus, name)
        self.lengths = measure_lengths(self.corpus, name)
        self.usable = self.lengths > 0
        self.count = int(self.usable.sum())

    def run(self, vectors: Any, count: int) -> Iterator[Nearest]:
        """Yield the neighbours of vectors, some at a time. Raises as `find_nearest`."""
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise OptionError(f"count is {count!r}; expected how many neighbours each vector gets, from 1")
        vectors, width = as_vectors(vectors, "the vectors"), self.corpus.shape[1]
        if vectors.shape[1] != width:
            raise DataError(
                f"the vectors have {vectors.shape[1]:,} numbers and those of the corpus {width:,}; compare vectors of "
                "one model"
            )
        kept = min(int(count), self.count)
        step = max(1, min(QUERIES, KEPT // max(kept, 1)))
        for start in range(0, len(vectors), step):
            part = vectors[start : start + step]
            yield self.run_block(part, measure_lengths(part, "the vectors", start), kept)

    def run_block(self, vectors: Floats, lengths: Floats, kept: int) -> Nearest:
        """Return the neighbours of vectors that are few enough for one block. lengths: of the vectors."""
        some = np.flatnonzero(lengths > 0)
        best = Best(len(some), kept)
        own = to_units(vectors[some], lengths[some])
        margin = 2 * (self.corpus.shape[1] + 4) * 2.0**-24  # twice what products of units in float32 can be wrong by
        for start in range(0, len(self.corpus) if kept and len(some) else 0, CORPUS):
            block = slice(start, start + CORPUS)
            usable = self.usable[block]
            about = own @ to_units(self.corpus[block], self.lengths[block]).T
            about[:, ~usable] = -np.inf
            query, row = find_candidates(about, best.least(), kept, margin)
            exact = multiply(vectors, some[query], self.corpus, row + start)
            cosines = exact / (lengths[some[query]] * self.lengths[row + start])
            best.add(query, row + start, cosines.round(DECIMALS))
        rows = np.full((len(vectors), kept), -1, np.int64)
        similarities = np.full((len(vectors), kept), np.nan, np.float32)
        rows[some], similarities[some] = best.rows, best.similarities.clip(-1, 1)
        return Nearest(rows, similarities)


class Best:
    """The best neighbours so far of n vectors: their rows int64 [n, k] and similarities float64 [n, k], best first."""

    def __init__(self, n: int, kept: int) -> None:
        self.rows = np.full((n, kept), -1, np.int64)
        self.similarities = np.full((n, kept), -np.inf)

    def least(self) -> Floats:
        """Return the least similarity that is kept of each vector, [n]; minus infinity where some are missing."""
        return self.similarities[:, -1]

    def add(self, query: Indices, row: Indices, similarity: Floats) -> None:
        """Take in further candidates: the vector, the row and the similarity of each."""
        n, kept = self.rows.shape
        query = np.concatenate([np.repeat(np.arange(n), kept), query])
        row = np.concatenate([self.rows.ravel(), row])
        similarity = np.concatenate([self.similarities.ravel(), similarity])
        order = np.lexsort((row, -similarity, query))
        ends = np.bincount(query, minlength=n).cumsum()
        first = np.concatenate([[0], ends[:-1]])
        chosen = order[first[:, None] + np.arange(kept)]
        self.rows, self.similarities = row[chosen], similarity[chosen]


def find_candidates(about: Floats, least: Floats, kept: int, margin: float) -> tuple[Indices, Indices]:
    """Return all pairs that can be among the nearest, as indices of vectors and of rows in the block.

    about: similarities [n, rows], less than half the margin wrong. least: what a pair has to reach, [n].
    """
    floor = np.maximum(least - margin, -2.0)  # below every similarity, and above what stands for none
    query, row = np.nonzero(about >= floor[:, None])
    if len(query) > CROWD * about.shape[0] * kept and kept < about.shape[1]:
        place = about.shape[1] - kept
        floor = np.maximum(floor, np.partition(about, place, 1)[:, place] - margin)
        query, row = np.nonzero(about >= floor[:, None])
    return query, row


def multiply(vectors: Floats, query: Indices, corpus: Floats, row: Indices) -> Floats:
    """Return the scalar product of each pair of a vector and a row of the corpus, float64 [pairs]."""
    products, step = np.empty(len(query)), max(1, NUMBERS // max(1, vectors.shape[1]))
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        products[part] = (vectors[query[part]].astype(np.float64) * corpus[row[part]]).sum(1)
    return products


def to_units(vectors: Floats, lengths: Floats) -> Floats:
    """Return vectors of length 1, float32; zeros for those without a direction."""
    with np.errstate(divide="ignore", invalid="ignore"):
        units = (vectors / lengths[:, None]).astype(np.float32)
    units[~(lengths > 0)] = 0
    return units


def measure_lengths(vectors: Floats, name: str, first: int = 0) -> Floats:
    """Return the length of each vector, float64 [n]; NaN for one with a NaN.

    first: the index of the first one, for messages. Raises DataError for one that is not finite.
    """
    lengths, step = np.empty(len(vectors)), max(1, NUMBERS // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), step):
        part = vectors[start : start + step].astype(np.float64)
        with np.errstate(over="ignore"):
            lengths[start : start + step] = np.sqrt((part * part).sum(1))
    if len(wrong := np.flatnonzero(np.isinf(lengths))):
        raise DataError(
            f"{name}, row {first + int(wrong[0]) + 1}: holds an infinite number, or one too large to square; expected "
            "finite numbers, or NaN for a row without a vector"
        )
    return lengths


def as_vectors(values: Any, name: str) -> Floats:
    """Return an array of vectors [n, width]. Raises DataError for anything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{name}: the rows differ in length; expected vectors of one length") from None
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(
            f"{name}: found the shape {list(array.shape)}; expected [vectors, width], such as one vector v as v[None]"
        )
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name}: found {array.dtype}; expected floating-point numbers")
    return array if array.dtype.kind == "f" else array.astype(np.float64)

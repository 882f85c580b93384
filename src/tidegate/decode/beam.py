"""Beam search: write the sequence of ids with the largest probability, as far as a few hypotheses at once find it.

A hypothesis is a sequence that is written so far; its score is the sum of the logarithms of the probabilities of its
ids, the softmax of the numbers at each step. Of all continuations of all hypotheses, those among the best `width` that
write `end` are complete, and the best `width` of the others go on. The result is the complete one with the largest
score / ((5 + length) / 6) ** length_penalty, where length counts `end`. The search stops when no hypothesis can become
better than the best complete one, or after `most` ids; if no hypothesis is complete then, the best one is the result.
With a width of 1, it is greedy.

Source: Wu et al. 2016 (arXiv:1609.08144), section 7, equation 14, without coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..expect import check_integer
from ..strictjson import show
from .base import WRITTEN, Array, Context, Decoder, Floats, Indices, Memory, Update, check_common

MOST_WIDTH: Final = 64
MOST_IDS: Final = 1 << 16
NOTHING: Final = -1  # stands behind the last id


def parse(place: str, entry: Mapping[str, Any], width: int, tensors: Mapping[str, Array]) -> Beam:
    """Check the entry of a beam search and return the decoder. Raises ModelFileError."""
    own = check_common(place, entry, width, "begin", "end", "width", "most", "length_penalty")
    options = entry["options"]
    for name in ("begin", "end"):
        check_integer(f"{place}.options.{name}", options[name], 0, own - 1)
    check_integer(f"{place}.options.width", options["width"], 1, MOST_WIDTH)
    check_integer(f"{place}.options.most", options["most"], 1, MOST_IDS)
    penalty = options["length_penalty"]
    if type(penalty) is not float or not 0 <= penalty <= 10:
        raise ModelFileError(f"{place}.options.length_penalty: is {show(penalty)}; expected a number from 0.0 to 10.0")
    return Beam(place, entry, width)


class Beam(Decoder):
    """Its memory, of n streams with at most W hypotheses each: `scores` float64 [n, W], -inf where there is none;
    `written` int64 [n, W, steps]; `best` int64 [n, most], the best complete sequence so far, and its `best_score`
    float64 [n].

    >>> options = {"begin": 0, "end": 1, "width": 2, "most": 3, "length_penalty": 0.0}
    >>> beam = Beam("decoders.reply", {"options": options}, 3)
    >>> update = beam.begin(beam.start(1))
    >>> update = beam.update(update.memory, np.array([[-9.0, 0.0, 1.0]], np.float32))
    >>> update.next.tolist(), update.parents.tolist()
    ([2], [0])
    >>> update = beam.update(update.memory, np.array([[-9.0, 5.0, 0.0]], np.float32))
    >>> beam.finish(update.memory).decided.tolist(), update.next.tolist()
    ([[2, 1, -1]], [])
    """

    kind = "beam"
    gives = WRITTEN
    drives = writes = True

    def __init__(self, place: str, entry: Mapping[str, Any], width: int) -> None:
        super().__init__(place, entry, width)
        options = entry["options"]
        self.first, self.end, self.beams, self.most = (options[k] for k in ("begin", "end", "width", "most"))
        self.penalty: float = options["length_penalty"]

    def describe(self) -> list[tuple[str, str]]:
        how = f"{self.beams} hypotheses" if self.beams > 1 else "greedy"
        return [("decoder", f"beam search, {how}, at most {self.most} ids")]

    def check_fed(self, ids: int, size: int, features: int) -> str:
        if ids == 1 and size == self.width:
            return ""
        return f"{self.place} feeds back one id of {self.width}; expected kind 'ids' with size {self.width}"

    def start(self, n: int, context: Context | None = None) -> Memory:
        scores = np.full((n, self.beams), -np.inf)
        scores[:, 0] = 0.0
        best = np.full((n, self.most), NOTHING, np.int64)
        written = np.empty((n, self.beams, 0), np.int64)
        return {"scores": scores, "written": written, "best": best, "best_score": np.full(n, -np.inf)}

    def begin(self, memory: Memory) -> Update:
        n = len(memory["scores"])
        return Update(memory, memory["best"][:, :0], np.full(n, self.first, np.int32), np.arange(n))

    def normalize(self, scores: Array, length: int) -> Array:
        """Return scores of sequences of one length with the length penalty."""
        return np.asarray(scores / ((5 + length) / 6) ** self.penalty)

    def update(self, memory: Memory, y: Floats) -> Update:
        """Return what a step changes. y: the numbers of the hypotheses that are left, stream after stream."""
        scores, written = memory["scores"], memory["written"]
        n, W, length = written.shape
        alive = np.isfinite(scores)
        logs = np.full((n, W, self.width), -np.inf)
        logs[alive] = scores[alive][:, None] + log_softmax(y)
        flat = logs.reshape(n, -1)
        order = np.argsort(-flat, 1, kind="stable")[:, : 2 * W]  # at most W of them write the end
        values, ids = np.take_along_axis(flat, order, 1), order % self.width
        sequences = np.take_along_axis(written, (order // self.width)[:, :, None], 1)
        sequences = np.concatenate([sequences, ids[:, :, None]], 2)
        ends, exists = ids == self.end, np.isfinite(values)
        complete = ends & exists & (np.arange(ends.shape[1]) < W)
        best, best_score = self.keep_best(memory, sequences, np.where(complete, values, -np.inf))
        # The first W of those that go on, in the order of their scores.
        place = np.argsort(ends | ~exists, 1, kind="stable")[:, :W]
        values, going = np.take_along_axis(values, place, 1), ~np.take_along_axis(ends | ~exists, place, 1)
        sequences = np.take_along_axis(sequences, place[:, :, None], 1)
        last = length + 1 == self.most
        if last:  # what is not complete counts only where nothing is
            none = ~np.isfinite(best_score)
            rest = {"best": best, "best_score": best_score}
            cut, cut_score = self.keep_best(rest, sequences, np.where(going, values, -np.inf))
            best, best_score = np.where(none[:, None], cut, best), np.where(none, cut_score, best_score)
        hopeful = self.normalize(values, self.most) > best_score[:, None]
        going &= hopeful & (not last)
        after = {"scores": np.where(going, values, -np.inf), "written": sequences, "best": best}
        rows = np.cumsum(alive).reshape(n, W) - 1  # of each hypothesis that was left, in y
        parents = np.take_along_axis(rows, np.take_along_axis(order, place, 1) // self.width, 1)
        following = sequences[:, :, -1].astype(np.int32)
        return Update({**after, "best_score": best_score}, best[:, :0], following[going], parents[going])

    def keep_best(self, memory: Memory, sequences: Indices, scores: Array) -> tuple[Indices, Array]:
        """Return the best sequence [n, most] and its score [n], the one before or one of these [n, K, length]."""
        n, _, length = sequences.shape
        scores = self.normalize(scores, length)
        k = scores.argmax(1)
        found = np.take_along_axis(scores, k[:, None], 1)[:, 0]
        best = np.full((n, self.most), NOTHING, np.int64)
        best[:, :length] = sequences[np.arange(n), k]
        better = found > memory["best_score"]
        return np.where(better[:, None], best, memory["best"]), np.where(better, found, memory["best_score"])

    def finish(self, memory: Memory) -> Update:
        """Return the best sequence of each stream: with `end` last if it is complete."""
        return Update(memory, memory["best"])


def log_softmax(y: Floats) -> npt.NDArray[np.float64]:
    """Return the logarithms of the softmax over the last axis, in float64.

    >>> log_softmax(np.array([0.0, 0.0], np.float32)).round(3).tolist()
    [-0.693, -0.693]
    """
    x = y.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(-1, keepdims=True)))

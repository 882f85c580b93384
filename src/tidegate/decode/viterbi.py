"""Viterbi: the best path of labels through a linear-chain CRF, decided after a bounded number of later steps.

A path has the sum of the scores of its labels, of the transition between each two of them, and of its first and last
label. After each step, the best path to each label is known. A label is final when all of these paths agree on it, and
at the latest `look_ahead` steps later: then the best of the paths decides, and those that differ end. So with at least
as many steps of look-ahead as a row has, the labels are those of the best of all paths.

Source: Forney, The Viterbi Algorithm, 1973 (survivors and truncation); Lafferty et al., Conditional Random Fields,
2001.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ..errors import ModelFileError
from ..expect import check_integer, check_tensor
from ..limits import MAX_STATE_BYTES
from .base import IDS, Array, Decoder, Field, Floats, Indices, Memory, Update, check_common

FORBIDDEN: Final = np.float32(-1e9)  # the score of a transition that may not be
IMPOSSIBLE: Final = FORBIDDEN / 2  # a path that is so much worse than the best one has such a transition
ENDED: Final = np.float32(-1e30)  # the score of a path that differs from what was decided; no sum of it overflows
MOST_AHEAD: Final = 64
MOST_SUMS: Final = 1 << 20  # of the streams that are followed at once


def parse(place: str, entry: Mapping[str, Any], width: int, tensors: Mapping[str, Array]) -> Viterbi:
    """Check the entry of a CRF and return its decoder. Raises ModelFileError."""
    K = check_common(place, entry, width, "look_ahead", tensors=("transitions", "start", "end"))
    check_integer(f"{place}.options.look_ahead", entry["options"]["look_ahead"], 1, MOST_AHEAD)
    for role, name in entry["tensors"].items():
        check_tensor(f"{place}.tensors.{role}", name, tensors, "F32", (K, K) if role == "transitions" else (K,))
    decoder = Viterbi(place, entry, width, {role: tensors[name] for role, name in entry["tensors"].items()})
    if (size := sum(field.nbytes for field in decoder.fields.values())) > MAX_STATE_BYTES:
        raise ModelFileError(
            f"{place}: a stream would remember {size} bytes of it; at most {MAX_STATE_BYTES} are allowed; "
            "lower look_ahead"
        )
    return decoder


class Viterbi(Decoder):
    """The best path through a linear-chain CRF of K labels.

    Its memory: `scores` float32 [K], of the best path to each label, less that of the best of all; `paths` int32 [K,
    late + 1], the latest labels of each, the newest last; `pending` and `decided`, int32 [1], the numbers of labels
    that are not final yet, and of those that the last step made final. Equal sums: the label with the smaller index
    comes first, beginning with the last label of a path.

    >>> numbers = {"transitions": np.float32([[1, 0], [0, 1]]), "start": np.zeros(2), "end": np.zeros(2)}
    >>> decoder = Viterbi("decoders.path", {"options": {"look_ahead": 4}}, 2, numbers)
    >>> decoder.decode(np.float32([[3, 0], [0, 0.5], [2, 0]])).tolist()
    [0, 0, 0]
    """

    kind = "viterbi"
    gives = IDS

    def __init__(self, place: str, entry: Mapping[str, Any], width: int, numbers: Mapping[str, Array]) -> None:
        super().__init__(place, entry, width)
        self.late = entry["options"]["look_ahead"]
        self.transitions, self.first, self.last = (
            np.asarray(numbers[role], np.float32) for role in ("transitions", "start", "end")
        )
        self.into = np.ascontiguousarray(self.transitions.T)  # [label, label before]
        self.labels = np.arange(self.width, dtype=np.int32)
        self.columns = np.arange(self.late + 1, dtype=np.int32)  # of the latest labels of a path

    @property
    def fields(self) -> dict[str, Field]:
        K, late = self.width, self.late
        return {
            "scores": Field("float32", (K,)),
            "paths": Field("int32", (K, late + 1), 0, K - 1),
            "pending": Field("int32", (1,), 0, late),
            "decided": Field("int32", (1,), 0, late + 1),
        }

    def describe(self) -> list[tuple[str, str]]:
        more = f"{self.late} later step{'s'[: self.late != 1]}"
        return [("decoder", f"the best path of a CRF; a label is final after at most {more}")]

    @np.errstate(over="ignore", invalid="ignore")
    def update(self, memory: Memory, y: Floats) -> Update:
        if len(y) > (most := max(1, MOST_SUMS // self.width**2)):
            parts = [slice(at, at + most) for at in range(0, len(y), most)]
            each = [self.update({k: v[part] for k, v in memory.items()}, y[part]) for part in parts]
            joined = {name: np.concatenate([one.memory[name] for one in each]) for name in memory}
            return Update(joined, np.concatenate([one.decided for one in each]))
        sums, rows = memory["scores"][:, None] + self.into, np.arange(len(y))[:, None]
        begins = memory["pending"] == 0
        parents = np.where(begins, self.labels, sums.argmax(2))
        scores = np.where(begins, self.first, sums[rows, self.labels, parents]) + y.astype(np.float32)
        scores -= scores.max(1, keepdims=True)
        paths = np.empty_like(memory["paths"])
        paths[:, :, :-1], paths[:, :, -1] = memory["paths"][rows, parents, 1:], self.labels
        return self.decide(scores, paths, memory["pending"] + np.int32(1))

    def decide(self, scores: Floats, paths: Array, pending: Array) -> Update:
        """Decide the labels on which all paths agree, and one more if too many would wait.

        scores: [n, K]. paths: [n, K, late + 1]. pending: int32 [n, 1], with the newest step.
        """
        best = select_best(scores, paths)
        differs = ((paths != best[:, None]) & (scores > IMPOSSIBLE)[:, :, None]).any(1)
        begin = self.late + 1 - pending  # where the oldest label that waits stands
        differs[:, -1] = True  # the newest label always waits
        agreed = np.where(self.columns < begin, False, differs).argmax(1)[:, None].astype(np.int32) - begin
        is_late = (pending - agreed > self.late)[:, 0]
        if is_late.any():  # then nothing was agreed on, as at most one more than `late` wait
            ends = paths[:, :, 0] != best[:, None, 0]
            scores = np.where(is_late[:, None] & ends, ENDED, scores)
            agreed = agreed + is_late[:, None]
        memory = {"scores": scores, "paths": paths, "pending": pending - agreed, "decided": agreed}
        return Update(memory, self.select_decided(best, memory))

    @np.errstate(over="ignore", invalid="ignore")
    def finish(self, memory: Memory) -> Update:
        scores, pending = memory["scores"] + self.last, memory["pending"]
        after = {"scores": scores, "paths": memory["paths"], "pending": np.zeros_like(pending), "decided": pending}
        return Update(after, self.select_decided(self.recall(after), after))

    def select_decided(self, best: Array, memory: Memory) -> Indices:
        """Return the labels that a step or the end made final, int64 [n, late + 1], with -1 behind them."""
        decided = memory["decided"]
        begin = self.late + 1 - memory["pending"] - decided
        found = best[np.arange(len(best))[:, None], np.minimum(begin + self.columns, self.late)]
        return np.where(self.columns < decided, found, -1).astype(np.int64)

    def recall(self, memory: Memory) -> Array:
        return select_best(memory["scores"], memory["paths"])

    def count_pending(self, memory: Memory) -> Indices:
        return np.asarray(memory["pending"][:, 0], np.int64)

    def count_decided(self, memory: Memory) -> Indices:
        return np.asarray(memory["decided"][:, 0], np.int64)

    def check(self, memory: Memory) -> str:
        if wrong := super().check(memory):
            return wrong
        together = int(memory["pending"][0, 0] + memory["decided"][0, 0])
        too_many = together > self.late + 1
        return f"{self.place}.decided and pending are {together} together; expected at most {self.late + 1}" * too_many


def select_best(scores: Floats, paths: Array) -> Array:
    """Return the latest labels of the best path, [n, late + 1]. scores: [n, K]. paths: [n, K, late + 1]."""
    return np.asarray(paths[np.arange(len(paths)), scores.argmax(1)])

"""BIO: each step has the likeliest of the tags that may follow the tag before. Outputs of tags bring it along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ..expect import check_list, check_text
from .base import IDS, Array, Decoder, Field, Floats, Indices, Memory, Update, check_common

LEAST: Final = np.float32(-np.inf)


def parse(place: str, entry: Mapping[str, Any], width: int, tensors: Mapping[str, Array]) -> Bio:
    """Check the entry of tags that follow BIO and return its decoder. Raises ModelFileError."""
    own = check_common(place, entry, width, "labels")
    check_list(f"{place}.options.labels", entry["options"]["labels"], own, own)
    for i, label in enumerate(entry["options"]["labels"]):
        check_text(f"{place}.options.labels[{i}]", label)
    return Bio(place, entry, width)


class Bio(Decoder):
    """The tag I-x only follows B-x or I-x. A stream remembers its last tag: 1 and its index, at first 0.

    >>> entry = {"kind": "bio", "reads": "layers.0", "options": {"labels": ["B-x", "I-x", "O"]}}
    >>> Bio("outputs.tags", entry, 3).decode(np.array([[0, 2, 1], [2, 0, 1], [1, 2, 0]], np.float32)).tolist()
    [2, 0, 1]
    """

    kind = "bio"
    gives = IDS

    def __init__(self, place: str, entry: Mapping[str, Any], width: int) -> None:
        super().__init__(place, entry, width)
        labels = entry["options"]["labels"]
        self.inside = np.array([label.startswith("I") for label in labels])
        indices = {label: i for i, label in enumerate(labels)}
        inner = [-1 if label == "O" else indices.get("I" + label[1:], -1) for label in labels]
        self.inner = np.array([-1, *inner])  # by memory: the tag that begins with I and may follow, or -1

    @property
    def fields(self) -> dict[str, Field]:
        return {"memory": Field("int64", (1,), 0, self.width)}

    def update(self, memory: Memory, y: Floats) -> Update:
        last = memory["memory"]
        if len(y) == 1:  # first, as a stream waits for it
            last = np.array([[1 + self.choose(y[0], last.item())]])
        else:
            last = 1 + self.choose_each(y, last[:, 0])[:, None]
        return Update({"memory": last}, last - 1)

    def decode(self, values: Floats) -> Indices:
        found, last = [], 0
        for row in values:
            found.append(index := self.choose(row, last))
            last = index + 1
        return np.array(found, np.int64)

    def choose(self, row: Floats, last: int) -> int:
        """Return the index of a step's tag: of those that may follow, the first with the largest number."""
        index, inner = int(np.where(self.inside, LEAST, row).argmax()), int(self.inner[last])
        wins = inner >= 0 and (row[inner] > row[index] or (row[inner] == row[index] and inner < index))
        return inner if wins else index

    def choose_each(self, y: Floats, last: Indices) -> Indices:
        """Do `choose` for each of n rows."""
        inner, each = self.inner[last], np.arange(len(y))
        index = np.where(self.inside, LEAST, y).argmax(1)
        rival, best = y[each, inner], y[each, index]
        wins = (inner >= 0) & ((rival > best) | ((rival == best) & (inner < index)))
        return np.asarray(np.where(wins, inner, index))

    def recall(self, memory: Memory) -> Indices:
        return np.asarray(memory["memory"] - 1)

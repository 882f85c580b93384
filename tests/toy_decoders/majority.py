"""Majority: the label that was the largest in most of the last three steps. A toy decoder in one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tidegate.decode.base import IDS, Array, Decoder, Field, Floats, Memory, Update, check_common


def parse(place: str, entry: Mapping[str, Any], width: int, tensors: Mapping[str, Array]) -> Majority:
    check_common(place, entry, width)
    return Majority(place, entry, width)


class Majority(Decoder):
    """Its memory has 1 and the index of the largest number of each of the last three steps; 0: there was none."""

    kind = "majority"
    gives = IDS

    @property
    def fields(self) -> dict[str, Field]:
        return {"last": Field("int32", (3,), 0, self.width)}

    def describe(self) -> list[tuple[str, str]]:
        return [("decoder", "the majority of three steps")]

    def update(self, memory: Memory, y: Floats) -> Update:
        last = np.concatenate([memory["last"][:, 1:], y.argmax(1)[:, None] + 1], 1).astype(np.int32)
        after = {"last": last}
        return Update(after, self.recall(after))

    def recall(self, memory: Memory) -> Array:
        votes = [(memory["last"] == k + 1).sum(1) for k in range(self.width)]
        return np.stack(votes, 1).argmax(1)[:, None]

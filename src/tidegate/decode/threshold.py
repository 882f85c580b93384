"""Threshold with hysteresis: a label becomes active at one score, and stays so until it falls below a lower one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ..errors import ModelFileError
from ..expect import check_integer
from ..strictjson import show
from .base import FLAGS, Array, Decoder, Field, Floats, Memory, Update, check_common

MOST_STEPS: Final = 1 << 20


def parse(place: str, entry: Mapping[str, Any], width: int, tensors: Mapping[str, Array]) -> Threshold:
    """Check the entry of a threshold and return its decoder. Raises ModelFileError."""
    check_common(place, entry, width, "on", "off", "least")
    options = entry["options"]
    for key in ("on", "off"):
        if type(options[key]) is not float:
            raise ModelFileError(f"{place}.options.{key}: is {show(options[key])}; expected a number such as 0.5")
    if options["off"] > options["on"]:
        raise ModelFileError(
            f"{place}.options.off: is {options['off']}; expected at most {options['on']}, where a label becomes active"
        )
    check_integer(f"{place}.options.least", options["least"], 1, MOST_STEPS)
    return Threshold(place, entry, width)


class Threshold(Decoder):
    """A label is active from a score of at least `on` until one below `off`, and for at least `least` steps.

    Its memory: `active` int32 [labels], for how many steps each label has been active, counted up to `least`; 0: it is
    not.

    >>> decoder = Threshold("decoders.active", {"options": {"on": 0.8, "off": 0.4, "least": 2}}, 1)
    >>> decoder.decode(np.array([[0.5], [0.9], [0.1], [0.1], [0.8], [0.5], [0.5], [0.3]], np.float32))[:, 0].tolist()
    [0, 1, 1, 0, 1, 1, 1, 0]
    """

    kind = "threshold"
    gives = FLAGS

    def __init__(self, place: str, entry: Mapping[str, Any], width: int) -> None:
        super().__init__(place, entry, width)
        options = entry["options"]
        self.on, self.off, self.least = np.float32(options["on"]), np.float32(options["off"]), options["least"]

    @property
    def fields(self) -> dict[str, Field]:
        return {"active": Field("int32", (self.width,), 0, self.least)}

    def describe(self) -> list[tuple[str, str]]:
        steps = f"{self.least} step{'s'[: self.least != 1]}"
        return [("decoder", f"active from {self.on:.6g} until below {self.off:.6g}, for at least {steps}")]

    def update(self, memory: Memory, y: Floats) -> Update:
        before, y = memory["active"], y.astype(np.float32)
        stays = (before > 0) & ((y >= self.off) | (before < self.least))
        active = np.where(stays | (y >= self.on), np.minimum(before + 1, self.least), 0).astype(np.int32)
        after = {"active": active}
        return Update(after, self.recall(after))

    def recall(self, memory: Memory) -> Array:
        return (memory["active"] > 0)[:, None].astype(np.int64)

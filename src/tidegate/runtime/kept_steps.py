"""The steps of a message in the state of a stream, which keeps them until the end if layers read whole rows."""

from __future__ import annotations

from typing import Any, Final

import numpy.typing as npt

from .growing import GrowingArray, Words
from .state import Bytes, write_step_count

WAITS_FOR_END: Final = "this model reads whole messages; the answer comes at their end"
WORDS: Final = Words(
    "message", "step", "keeps", " until its end", "end the message before, or give it whole to predict"
)


def place_kept(most: int, shape: tuple[int, ...], dtype: str, offset: int) -> GrowingArray:
    """Return where the steps of a message stand in a state block: `kept.steps`, [most, *shape].

    The steps of the block count them. shape, dtype: of a step as the first layer takes it. offset: where they begin.

    >>> place_kept(3, (2,), "float32", 8).end
    32
    """
    return GrowingArray("kept.steps", most, shape, dtype, offset, WORDS)


def keep_steps(kept: GrowingArray, block: Bytes, steps: npt.NDArray[Any]) -> Bytes:
    """Return a block with more steps [T, *shape], which it counts; there must be room for them.

    >>> import numpy as np
    >>> block = keep_steps(place_kept(3, (), "int32", 8), np.zeros(24, np.uint8), np.array([7, 8], np.int32))
    >>> block.view(np.int32).tolist()
    [2, 0, 7, 8, 0, 0]
    """
    count = kept.count(block)
    after = kept.append(block, steps, count)
    write_step_count(after, count + len(steps))
    return after

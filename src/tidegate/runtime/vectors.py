"""Collect the vectors of whole inputs, some at a time, so that few answers are in memory at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from ..errors import DataError
from ..outputs.base import Answers, Output

BLOCK: Final = 4096  # inputs whose answers are there at once


def collect_vectors(answer: Callable[..., list[Any]], output: Output, rows: Any, times: Any, series: Any) -> Any:
    """Return what `Predictor.vectors` returns.

    answer: gives the answers about inputs, with their times and series, and the number of the first one. output: the
    one that gives vectors. Raises DataError.
    """
    for name, given in (("times", times), ("series", series)):
        if given is not None and len(given) != len(rows):
            raise DataError(f"there are {len(rows)} inputs and {len(given)} {name}; give one for each input")
    blocks = list[Any]()
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        answers = answer(rows[part], *(None if given is None else given[part] for given in (times, series)), start)
        own = [vectors_of(one, output) for one in answers]
        blocks.append(np.stack(own) if all(one.ndim == 1 for one in own) else own)
    if any(isinstance(block, list) for block in blocks):
        return [one for block in blocks for one in block]
    return np.concatenate(blocks) if blocks else np.empty((0, output.width), np.float32)


def vectors_of(answer: Any, output: Output) -> Any:
    """Return the vector of an answer, float32 [width]; or those of a conversation's messages [messages, width]."""
    if isinstance(answer, list):
        return np.stack([vectors_of(one, output) for one in answer])
    values = (answer[output.name] if isinstance(answer, Answers) else answer).values
    return np.full(output.width, np.nan, np.float32) if values is None else values

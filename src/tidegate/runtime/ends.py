"""What follows the end of a message: the values of the steps that are still to come, and the answers about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..inputs.base import Steps
from ..outputs.base import Answer
from .answers import make_answer, make_step_answers
from .compiled_model import Bytes, CompiledModel, Floats
from .state import read_step_count
from .whole_inputs import run_inputs


def run_ends(compiled: CompiledModel, blocks: Bytes) -> list[Floats]:
    """Return what follows when B streams with these blocks end: the values of the last steps of each [n, width].

    n: how many steps answers are late, or how many there were; all of them if the stream kept them. The blocks stay as
    they are.
    """
    if compiled.kept is not None:
        return run_kept(compiled, [compiled.kept.read(block) for block in blocks])
    B, late = len(blocks), compiled.look_ahead
    if not late:
        return [np.empty((0, compiled.width), np.float32)] * B
    x = np.empty((0, B, *compiled.step_shape), compiled.step_dtype)
    out = np.zeros((late, B, compiled.width), np.float32)
    blocks = np.ascontiguousarray(blocks)
    compiled.engine.run(x, np.zeros(B, np.int32), blocks, np.empty_like(blocks), out, True, compiled.threads, True)
    counts = np.minimum(blocks[:, :8].copy().view(np.int64)[:, 0], late)
    return [out[late - count :, b] for b, count in enumerate(counts.tolist())]


def run_kept(compiled: CompiledModel, kept: Sequence[npt.NDArray[Any]]) -> list[Floats]:
    """Do `run_ends` for layers that read whole rows: run the steps that B streams kept, as whole inputs are run."""
    inputs = [(Steps(rows, len(rows)), None) for rows in kept]
    found = [np.empty((0, compiled.width), np.float32)] * len(inputs)
    for results in run_inputs(compiled, inputs, per_step=True):
        for i, values in zip(results.positions, results.all_values, strict=True):
            assert values is not None
            found[i] = values
    return found


def make_end_answer(compiled: CompiledModel, block: Bytes, values: Floats, late: Floats, state: Any) -> Answer:
    """Return the answer at the end of a message: about its last step, or about all of it if the layers read it whole.

    block: the state of the layers there. values: the last ones [width]. late: those that follow, as `run_ends` gives
    them. state: of the input.
    """
    count = read_step_count(block)
    if not count:
        return make_answer(compiled, np.zeros(compiled.width, np.float32), count, state, block, True)
    if compiled.kept is not None:
        return make_answer(compiled, late[-1], count, state, block, True, None, late)
    if compiled.decodings:
        block = block.copy()
        compiled.follow(block, late)
        compiled.finish(block)
    return make_answer(compiled, late[-1] if len(late) else values, count, state, block, True)


def make_end_answers(compiled: CompiledModel, block: Bytes, values: Floats, late: Floats, state: Any) -> list[Answer]:
    """Return the answers that follow the end of a message, about its last steps. Arguments: see `make_end_answer`."""
    block, count, answers = block.copy(), read_step_count(block), list[Answer]()
    for k, following in enumerate(late):
        values = following
        if compiled.decodings:
            compiled.follow(block, values[None])
        answers += make_step_answers(compiled, values, count, state, block, True, late=len(late) - 1 - k)
    if compiled.late_decoding is not None and count:
        compiled.finish(block)
        answers += make_step_answers(compiled, values, count, state, block, True, late=0)
    return answers

"""Run whole inputs, in batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ..errors import DataError
from ..inputs.base import Input, Steps
from .compiled_model import Bytes, CompiledModel, Floats
from .driven import layer_keeps

BATCH_ROWS: Final = 256
BATCH_NUMBERS: Final = 1 << 21  # padded ids or features of one batch

WholeInput = tuple[Steps, Any]  # its steps, and the state of the input after them


class Results(NamedTuple):
    """What the layers give for B whole inputs that ran together.

    positions: of the inputs [B]. values: the last layer's after the last step [B, width]. all_values: those after each
    step, B of [T, width], if an output needs them. blocks: the states of the layers [B, state_bytes]. scaling: what the
    input gives outputs, if it made the rows.
    """

    positions: list[int]
    values: Floats
    all_values: Sequence[Floats | None]
    blocks: Bytes
    scaling: Any


def read_inputs(
    compiled: CompiledModel,
    verb: str,
    rows: Any,
    times: Sequence[Any] | None,
    series: Sequence[str] | None,
    first: int = 0,
) -> list[WholeInput]:
    """Read whole inputs. verb: what the user called, and first: the number of the first one, for messages.

    Raises DataError naming the input.
    """
    source = compiled.source
    if isinstance(rows, str | bytes):
        raise DataError(f"{verb} takes a list of texts; put the text in a list")
    inputs: list[WholeInput] = []
    try:
        for row, time, name in zip_inputs(rows, times, series):
            one = source.read_whole(row, time, name)
            require_attended(compiled, one[0])
            inputs.append(one)
    except DataError as error:
        raise DataError(f"{source.noun} {first + len(inputs)}: {error}") from error
    return inputs


def require_attended(compiled: CompiledModel, steps: Steps) -> None:
    """Raise DataError for a whole input with more steps than another graph can attend to."""
    if (most := compiled.most_attended) is not None and steps.number > most:
        raise DataError(f"it has {steps.number:,} steps, and this model attends to at most {most:,}; shorten it")


def zip_inputs(rows: Any, times: Sequence[Any] | None, series: Sequence[str] | None) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each input with its times and name, or None for them. Raises DataError unless their numbers agree."""
    for name, values in (("times", times), ("series", series)):
        if values is not None and len(values) != len(rows):
            raise DataError(f"there are {len(rows)} inputs and {len(values)} {name}; give one for each input")
    for i, row in enumerate(rows):
        yield row, None if times is None else times[i], None if series is None else series[i]


def require_answers(source: Input, inputs: list[WholeInput]) -> None:
    """Raise DataError for the first whole input that has no answer."""
    for i, (steps, _) in enumerate(inputs):
        number = steps.number
        if not number:
            raise DataError(f"{source.noun} {i} has {source.empty}")
        if not source.is_ready(number):
            has = f"has {number} step{'s'[: number != 1]}"
            raise DataError(f"{source.noun} {i}: {has}; this model's window needs {source.steps_needed}")


def run_inputs(compiled: CompiledModel, inputs: list[WholeInput], per_step: bool = False) -> Iterator[Results]:
    """Run all inputs that have an answer, and yield what the layers give for them, in any order.

    per_step: give the values after each step even if no output needs them.
    """
    per_step = per_step or any(output.per_step for output in compiled.outputs.values()) or keeps_first(compiled)
    source = compiled.source
    ready = [i for i, (steps, _) in enumerate(inputs) if source.is_ready(steps.number)]
    if source.rows is not None:
        yield from run_restarts(compiled, inputs, ready)
        return
    lengths = [inputs[i][0].number for i in ready]
    for batch in split_batches(lengths, source.features or source.ids):
        yield run_batch(compiled, inputs, [ready[i] for i in batch], per_step)


def keeps_first(compiled: CompiledModel) -> bool:
    """Return whether a graph that a decoder drives reads all steps of the first graph."""
    readers = [one for graph in compiled.driven.values() for one in graph.readers]
    return any(one.graph == 0 and layer_keeps(one.layer) for one in readers)


def run_restarts(compiled: CompiledModel, inputs: list[WholeInput], ready: list[int]) -> Iterator[Results]:
    """Do `run_inputs` for an input that makes whole rows anew."""
    restart = [one for i in ready for one in inputs[i][0].restart or ()]
    at = 0
    for values, scaling in compiled.run_restarts(restart):
        B = len(values)
        blocks = np.broadcast_to(compiled.initial, (B, len(compiled.initial)))
        yield Results(ready[at : at + B], values, list(values[:, None]), blocks, scaling)
        at += B


def run_batch(compiled: CompiledModel, inputs: list[WholeInput], batch: list[int], per_step: bool) -> Results:
    """Run one batch of inputs together, padded to the longest."""
    rows = [inputs[i][0].rows for i in batch]
    lengths = np.array([len(row) for row in rows], np.int32)
    T, B = int(lengths.max()), len(rows)
    x = np.zeros((T, B, *rows[0].shape[1:]), rows[0].dtype)
    for b, row in enumerate(rows):
        x[: len(row), b] = row
    states = np.tile(compiled.initial_row, (B, 1))
    blocks = np.empty_like(states)
    out = np.empty((T + compiled.look_ahead, B, compiled.width) if per_step else (B, compiled.width), np.float32)
    compiled.runner.run(x, lengths, states, blocks, out, per_step, compiled.threads, True)
    if not per_step:
        return Results(batch, out, [None] * B, blocks, None)
    out = out[compiled.look_ahead :]
    return Results(batch, out[lengths - 1, np.arange(B)], [out[:n, b] for b, n in enumerate(lengths)], blocks, None)


def split_batches(lengths: list[int], features: int) -> Iterator[list[int]]:
    """Split inputs into batches of similar length and bounded padded size, longest first; yield their indices.

    >>> list(split_batches([1, 5, 2], 1))
    [[1, 2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        limit = BATCH_NUMBERS // (lengths[order[start]] * features)
        count = max(1, min(BATCH_ROWS, limit))
        yield order[start : start + count]
        start += count

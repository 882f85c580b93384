"""Ticks of the graphs above the first: a message inside a conversation.

A graph ticks at the end of the one below. Between ticks its answer is a preview: the same step, on a copy of its state,
from what the graph below gives so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ..outputs.base import Answer, Answers
from .answers import NO_WRITINGS, answer_one, find_steps, make_answer, order_answers, write_answers
from .answers import Moment as Numbers
from .compiled_model import Bytes, CompiledModel, Floats
from .driven import Given, Writing
from .ends import make_end_answer, make_end_answers, run_ends
from .kept_steps import WAITS_FOR_END
from .level_input import LevelInput, LevelState, Plan
from .state import read_step_count

LOOKS_AHEAD: Final = "this model looks ahead within a message; this answer comes at its end"


class Moment(NamedTuple):
    """A stream at which the graphs above the first are looked at.

    block: of the stream, uint8 [state_bytes], which stays as it is. values: those of the first graph [width]; they
    count for nothing if there is a reason. plan: what happens; nothing ends for a preview. all_values: those after each
    step, of a whole input. writings: see `answers.Moment`.
    """

    block: Bytes
    values: Floats
    reason: str
    plan: Plan
    all_values: Floats | None = None
    writings: Mapping[str, Writing] = NO_WRITINGS


class Tick(NamedTuple):
    """A step of a graph above the first: its values [width] and its block then, or the reason why it makes none."""

    values: Floats
    block: Bytes
    reason: str


def find_reason(compiled: CompiledModel, count: int, ended: bool) -> str:
    """Say why the first graph gives those above it nothing after so many steps; "" if it gives something."""
    if not compiled.source.is_ready(count):
        return compiled.source.not_ready_reason(count, ended)
    if ended or not compiled.delay:
        return ""
    return WAITS_FOR_END if compiled.kept is not None else LOOKS_AHEAD


def run_upper(compiled: CompiledModel, moments: Sequence[Moment]) -> list[list[Tick]]:
    """Return the tick or preview of each graph above the first, for each moment. One native call for each graph."""
    found: list[list[Tick]] = [[] for _ in moments]
    for k, graph in enumerate(compiled.upper):
        rows, ready = list[Floats](), list[int]()
        for i, moment in enumerate(moments):
            row, reason = make_row(compiled, k, moment, found[i])
            if row is not None:
                rows.append(row)
                ready.append(i)
            else:
                found[i].append(Tick(np.zeros(graph.compiled.width, np.float32), moment.block[graph.at], reason))
        if not ready:
            continue
        if len(ready) == 1:  # at once, as a push waits for it
            blocks, x = moments[ready[0]].block[None, graph.at].copy(), rows[0][None]
        else:
            blocks, x = np.stack([moments[i].block[graph.at] for i in ready]), np.stack(rows)
        values = step_rows(graph.compiled, blocks, x)
        for i, one, block in zip(ready, values, blocks, strict=True):
            found[i].append(Tick(one, block, ""))
    return found


def make_row(compiled: CompiledModel, k: int, moment: Moment, below: Sequence[Tick]) -> tuple[Floats | None, str]:
    """Return what the k-th graph above the first reads; or None, and why there is nothing to read.

    below: the ticks of those below it.
    """
    graph, plan = compiled.upper[k], moment.plan
    values, reason = (below[-1].values, below[-1].reason) if below else (moment.values, moment.reason)
    if plan.ticks[k] and reason:  # the last message was empty, but those before it have ticked
        values, reason = moment.block[compiled.upper[k - 1].latest].view(np.float32)[: len(values)], ""
    if reason:
        return None, reason
    if missing := [one for one in graph.reads if isinstance(one, str) and one not in plan.rows]:
        return None, f"waiting for {missing[0]!r}, which this model reads at the end of the {compiled.levels[k]}"
    parts = [values[one] if isinstance(one, slice) else plan.rows[one] for one in graph.reads]
    return np.concatenate(parts), ""


def step_rows(compiled: CompiledModel, blocks: Bytes, rows: Floats) -> Floats:
    """Run a step of each of B states of a graph, changing their blocks, and return the values [B, width]."""
    every = np.arange(len(rows))
    out = np.empty((len(rows), compiled.width), np.float32)
    compiled.engine.step_many(every, rows, blocks, out, compiled.threads)
    if compiled.decodings:
        compiled.follow_each(blocks, every, out)
    return out


def finish_block(compiled: CompiledModel, moment: Moment, ticks: Sequence[Tick]) -> Bytes:
    """Return the block of a stream after the end of some levels: graphs above them have ticked, those of them begin."""
    block: Bytes = compiled.initial.copy()
    for memory in compiled.memories:
        if memory.graph >= moment.plan.ended:
            memory.array.write(block, memory.array.read(moment.block), 0)
    for k, (graph, tick) in enumerate(zip(compiled.upper, ticks, strict=True), 1):
        if k < moment.plan.ended:
            continue
        ticked = moment.plan.ticks[k - 1]
        block[graph.at] = tick.block if ticked else moment.block[graph.at]
        if ticked:
            compiled.remember_tick(block, k, tick.values)
        block[graph.latest] = moment.block[graph.latest]
        if ticked and graph.latest.stop > graph.latest.start:
            block[graph.latest][: tick.values.nbytes] = tick.values.view(np.uint8)
    return block


def join_answers(compiled: CompiledModel, first: Answer, moment: Moment, ticks: Sequence[Tick]) -> Answer:
    """Return the answer of a model with several graphs. first: the answers of the first graph, by name."""
    assert isinstance(first, Answers), "as those of several outputs"
    found = dict(first.items())
    for graph, (values, block, reason) in zip(compiled.upper, ticks, strict=True):
        for name in graph.own:
            output = graph.compiled.outputs[name]
            found[name] = answer_one(graph.compiled, output, Numbers(values, block, None, None), None, reason)
    if compiled.driven:
        found |= write_at_end(compiled, moment, ticks)
    answer = order_answers(compiled, found)
    return answer if first.step is None or not first.keys() else answer.at_step(first.step)


def write_at_end(compiled: CompiledModel, moment: Moment, ticks: Sequence[Tick]) -> dict[str, Answer]:
    """Return what graphs write that decoders drive, by the output's name; see `write_answers`."""
    reason = next((one.reason for one in ticks if one.reason), moment.reason)
    if reason or not moment.plan.ended:
        return write_answers(compiled, Given((), {}), reason, False)
    steps = find_steps(compiled, moment.block, moment.all_values)
    for memory in compiled.memories:
        if (k := memory.graph) > 0:
            rows, own = memory.array.read(moment.block), ticks[k - 1].values[None, memory.part]
            steps[memory.node] = np.concatenate([rows, own]) if moment.plan.ticks[k - 1] else rows
    last = [moment.values, *(one.values for one in ticks)]
    return write_answers(compiled, Given(last, steps), "", True, moment.writings)


class Reading(NamedTuple):
    """A piece after reading.

    parts: its steps of the first graph, all together or one by one, each with the state of the inputs then. state: the
    one after all of it. ended: how many levels end with it.
    """

    parts: Sequence[tuple[Any, LevelState]]
    state: LevelState
    ended: int


class Pushed(NamedTuple):
    """What a push makes of a stream: answers, its block, the last values of the first graph, and its input state."""

    answers: list[Answer]
    block: Bytes
    values: Floats
    state: LevelState


def push_levels(compiled: CompiledModel, block: Bytes, values: Floats, reading: Reading, per_step: bool) -> Pushed:
    """Push a piece into a stream of several graphs.

    block, values: of the stream, which stay as they are. per_step: give the answer after each step, not the last one.
    """
    reader, ended = compiled.reader, bool(reading.ended)
    assert isinstance(reader, LevelInput), "a model with several graphs"
    above = compiled.read_counts(block)[1:]
    firsts, moments = list[Answer](), list[Moment]()
    preview: Plan | None = None
    for steps, state in reading.parts:
        block, values, scaling = compiled.advance(block, values, steps, state.first)
        count = read_step_count(block)
        preview = preview or reader.preview(reading.state, [count, *above])
        if not per_step and ended and compiled.delay:
            continue
        if not (per_step and compiled.delay and count <= compiled.delay):
            late = compiled.delay if per_step else None
            firsts.append(make_answer(compiled, values, count, state.first, block, ended, scaling, late=late))
            moments.append(Moment(block, values, find_reason(compiled, count, False), preview))
    if not ended:
        return Pushed(join_all(compiled, firsts, moments, run_upper(compiled, moments)), block, values, reading.state)
    state, count, later = reading.state, read_step_count(block), None
    if compiled.delay:
        later = run_ends(compiled, block[None])[0]
        if per_step:
            firsts += make_end_answers(compiled, block, values, later, state.first)
        else:
            firsts.append(make_end_answer(compiled, block, values, later, state.first))
        values = later[-1] if len(later) else values
    plan = compiled.plan(state, [count, *above], 0, reading.ended)
    assert plan is not None, "a model with several graphs"
    every = later if compiled.kept is not None else None
    last = Moment(block, values, find_reason(compiled, count, True), plan, every)
    if preview is None:
        preview = reader.preview(state, [count, *above])
    waiting = Moment(block, values, find_reason(compiled, count, False), preview)
    moments = [*moments[: len(firsts) - 1], *[waiting] * (len(firsts) - 1 - len(moments)), last]
    ticks = run_upper(compiled, moments)
    from_here = len(ticks) - len(firsts)
    answers = join_all(compiled, firsts, moments[from_here:], ticks[from_here:])
    after = finish_block(compiled, last, ticks[-1])
    return Pushed(answers, after, np.zeros(compiled.width, np.float32), plan.state)


def join_all(
    compiled: CompiledModel, firsts: Sequence[Answer], moments: Sequence[Moment], ticks: Sequence[Sequence[Tick]]
) -> list[Answer]:
    """Return the answers of a model with several graphs, from those of the first graph and from ticks."""
    return [join_answers(compiled, *parts) for parts in zip(firsts, moments, ticks, strict=True)]


def make_current_answer(compiled: CompiledModel, block: Bytes, values: Floats, state: Any) -> Answer:
    """Return the answer of a stream as it is. Arguments: all that it remembers."""
    count = compiled.read_counts(block)
    if not compiled.upper:
        return make_answer(compiled, values, count[0], state, block)
    reader = compiled.reader
    assert isinstance(reader, LevelInput), "a model with several graphs"
    moment = Moment(block, values, find_reason(compiled, count[0], False), reader.preview(state, count))
    first = make_answer(compiled, values, count[0], state.first, block)
    return join_answers(compiled, first, moment, run_upper(compiled, [moment])[0])

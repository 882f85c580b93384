"""Turn the last layer's values after a step into the answer that the outputs of a model make of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from ..outputs.base import Answer, Answers, Context, Output
from .compiled_model import Bytes, CompiledModel, Floats
from .driven import WRITES_AT_END, Given, Writing
from .kept_steps import WAITS_FOR_END

NO_CONTEXT: Final = Context()
NO_WRITINGS: Final[Mapping[str, Writing]] = MappingProxyType({})
NOTHING: Final = np.zeros(0, np.float32)
WAITS_FOR_PATHS: Final = "waiting for later steps, which decide between the paths that are left"


def make_answer(
    compiled: CompiledModel,
    values: Floats,
    count: int,
    state: Any,
    block: Bytes,
    ended: bool = False,
    scaling: Any = None,
    all_values: Floats | None = None,
    late: int | None = None,
    older: int = 0,
    writings: Mapping[str, Writing] = NO_WRITINGS,
) -> Answer:
    """Return the answer of one stream after so many steps.

    values: float32 [width], the last layer's after the last step. state: that of the input. block: the state of the
    layers. ended: whether the message has ended. scaling: what the input gives outputs, if the caller has it.
    all_values: those after each step [T, width], for outputs whose answer about a whole input has every step. late: how
    many steps before the last one the values are about, if they come late; by default as many as the layers look ahead,
    or 0 at the end, where an answer about a message that the layers read whole is about all of it. older: by how many
    steps the answer is older than the latest that a decoder has decided. writings: see Moment.
    """
    source, own = compiled.source, Moment(values, block, scaling, all_values, ended=ended, writings=writings)
    reason = "" if count >= source.steps_needed else source.not_ready_reason(count, ended)
    if compiled.kept is not None and late is None:
        reason = reason if reason or ended else WAITS_FOR_END
    elif compiled.ends_late and all_values is None and not reason:
        late = late if late is not None else 0 if ended else compiled.look_ahead
        if count <= late:
            reason = explain_wait(late + 1 - count, compiled.look_ahead)
        else:
            back = older + count_waiting(compiled, block)
            own, step = own._replace(back=back, decided=count > late + back), count - 1 - late - back
            answer = make_answers(compiled, own, state, "")
            return answer.at_step(step) if own.decided else answer
    if compiled.plain_output is not None and all_values is None:
        return compiled.plain_output.answer(values, NO_CONTEXT, reason)  # at once, as a push waits for it
    return make_answers(compiled, own, state, reason)


def make_step_answers(
    compiled: CompiledModel,
    values: Floats,
    count: int,
    state: Any,
    block: Bytes,
    ended: bool = False,
    scaling: Any = None,
    late: int | None = None,
) -> list[Answer]:
    """Return the answers that a step completes: one, or as many as a decoder decides then.

    Arguments: see `make_answer`.
    """
    if late and count <= late:
        return []
    decoding = compiled.late_decoding
    number = 1 if decoding is None else decoding.count(block)[1]
    return [
        make_answer(compiled, values, count, state, block, ended, scaling, None, late, older)
        for older in range(number - 1, -1, -1)
    ]


def count_waiting(compiled: CompiledModel, block: Bytes) -> int:
    """Return of how many steps a decoder has the numbers, and has not decided them yet."""
    return 0 if compiled.late_decoding is None else compiled.late_decoding.count(block)[0]


def explain_wait(missing: int, ahead: int) -> str:
    """Say how many more steps an answer needs.

    >>> explain_wait(1, 2)
    'waiting for 1 more step, as the model looks 2 steps ahead'
    """
    more, far = (f"{n}{what} step{'s'[: n != 1]}" for n, what in ((missing, " more"), (ahead, "")))
    return f"waiting for {more}, as the model looks {far} ahead"


class Moment(NamedTuple):
    """The numbers that answers are made of; see `make_answer`.

    back: how many steps before the last one with numbers a decoder's answer is about. decided: whether there is one.
    ended: whether the message has ended. writings: what graphs write for several streams, by the output's name, if the
    caller gathers it.
    """

    values: Floats
    block: Bytes
    scaling: Any
    all_values: Floats | None
    back: int = 0
    decided: bool = True
    ended: bool = False
    writings: Mapping[str, Writing] = NO_WRITINGS


def make_answers(compiled: CompiledModel, own: Moment, state: Any, reason: str) -> Answer:
    """Return the answer of the only output, or those of several."""
    if (output := compiled.output) is not None:
        return answer_one(compiled, output, own, state, reason)
    found = {name: answer_one(compiled, one, own, state, reason) for name, one in compiled.outputs.items()}
    if not compiled.driven or compiled.upper:
        return Answers(found)
    given = Given([own.values], find_steps(compiled, own.block, own.all_values) if own.ended and not reason else {})
    return order_answers(compiled, {**found, **write_answers(compiled, given, reason, own.ended, own.writings)})


def order_answers(compiled: CompiledModel, found: Mapping[str, Answer]) -> Answer:
    """Return the answers of a model with several graphs in the order of its outputs; a single one alone."""
    names = compiled.model.outputs
    return Answers({name: found[name] for name in names}) if len(names) > 1 else next(iter(found.values()))


def find_steps(compiled: CompiledModel, block: Bytes, all_values: Floats | None) -> dict[str, Floats]:
    """Return what is kept of the steps of the first graph, by node. all_values: those after each step, if there are."""
    if all_values is None:
        return {one.node: one.array.read(block) for one in compiled.memories if not one.graph}
    readers = [one for graph in compiled.driven.values() for one in graph.readers]
    return {one.node: all_values[:, one.part] for one in readers if not one.graph}


def write_answers(
    compiled: CompiledModel, given: Given, reason: str, ended: bool, writings: Mapping[str, Writing] = NO_WRITINGS
) -> dict[str, Answer]:
    """Return what graphs write that decoders drive, by the output's name: at the end of a message, else a reason.

    given: what they read. Nothing is written before the answer is first read.
    """
    found = {}
    for name, graph in compiled.driven.items():
        why = reason or ("" if ended else WRITES_AT_END)
        roll = None if why else (writings.get(name) or Writing(graph)).add(given)
        found[name] = graph.output.answer(NOTHING, Context(roll=roll), why)
    return found


def answer_one(compiled: CompiledModel, output: Output, own: Moment, state: Any, reason: str) -> Answer:
    values, whole = own.values, own.all_values is not None and output.per_step
    if whole:
        assert own.all_values is not None
        values = own.all_values
    if (decoding := compiled.decodings.get(output.name)) is not None and not reason:
        if whole:
            return output.answer(values, Context(decided=decoding.decoder.decode(output.select(values))))
        if decoding.late and not own.decided:
            return output.answer(values, NO_CONTEXT, WAITS_FOR_PATHS)
        decided, numbers = decoding.recall(own.block, own.back if decoding.late else 0)
        return output.answer(values, Context(decided=decided, numbers=numbers))
    if not output.scales or reason:
        return output.answer(values, NO_CONTEXT, reason)
    if output.feeds_back and (reason := compiled.source.not_continued_reason(state)):
        return output.answer(values, NO_CONTEXT, reason)
    return output.answer(values, make_context(compiled, output, values, state, own.block, own.scaling))


def make_context(
    compiled: CompiledModel, output: Output, values: Floats, state: Any, block: Bytes, scaling: Any
) -> Context:
    """Return what an output needs to answer in the data's units."""
    if not output.feeds_back:
        return Context(compiled.source.context([state]) if scaling is None else scaling)
    start = block[None].copy(), values[None].copy(), [state]

    def roll() -> Any:
        from .rollout import roll_out  # models that do not feed back need none of it

        return roll_out(compiled, *start)[0]

    return Context(roll=roll)

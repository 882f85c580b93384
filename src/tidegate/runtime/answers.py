"""Turn the last layer's values after a step into the answer that the outputs of a model make of it."""

from __future__ import annotations

from typing import Any, Final

from ..outputs.base import Answer, Answers, Context, Output
from .compiled_model import Bytes, CompiledModel, Floats
from .kept_steps import WAITS_FOR_END

NO_CONTEXT: Final = Context()


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
) -> Answer:
    """Return the answer of one stream after so many steps.

    values: float32 [width], the last layer's after the last step. state: that of the input. block: the state of the
    layers. ended: whether the message has ended. scaling: what the input gives outputs, if the caller has it.
    all_values: those after each step [T, width], for outputs whose answer about a whole input has every step. late: how
    many steps before the last one it is about, if answers come late; by default as many as the layers look ahead, or 0
    at the end, where one about a message that the layers read whole is about all of it.
    """
    source = compiled.source
    reason = "" if count >= source.steps_needed else source.not_ready_reason(count, ended)
    if compiled.kept is not None and late is None:
        reason = reason if reason or ended else WAITS_FOR_END
    elif compiled.delay and all_values is None and not reason:
        late = late if late is not None else 0 if ended else compiled.look_ahead
        if count > late:
            return make_answers(compiled, values, state, block, "", scaling, None).at_step(count - 1 - late)
        reason = explain_wait(late + 1 - count, compiled.look_ahead)
    if compiled.plain_output is not None and all_values is None:
        return compiled.plain_output.answer(values, NO_CONTEXT, reason)  # at once, as a push waits for it
    return make_answers(compiled, values, state, block, reason, scaling, all_values)


def explain_wait(missing: int, ahead: int) -> str:
    """Say how many more steps an answer needs.

    >>> explain_wait(1, 2)
    'waiting for 1 more step, as the model looks 2 steps ahead'
    """
    more, far = (f"{n}{what} step{'s'[: n != 1]}" for n, what in ((missing, " more"), (ahead, "")))
    return f"waiting for {more}, as the model looks {far} ahead"


def make_answers(
    compiled: CompiledModel,
    values: Floats,
    state: Any,
    block: Bytes,
    reason: str,
    scaling: Any,
    all_values: Floats | None,
) -> Answer:
    """Return the answer of the only output, or those of several."""
    if (output := compiled.output) is not None:
        return answer_one(compiled, output, values, state, block, reason, scaling, all_values)
    parts = compiled.outputs.items()
    return Answers(
        {k: answer_one(compiled, one, values, state, block, reason, scaling, all_values) for k, one in parts}
    )


def answer_one(
    compiled: CompiledModel,
    output: Output,
    values: Floats,
    state: Any,
    block: Bytes,
    reason: str,
    scaling: Any,
    all_values: Floats | None,
) -> Answer:
    if all_values is not None and output.per_step:
        values = all_values
    if output.memories and not reason:
        memory = output.follow(values, 0) if values is all_values else compiled.read_memory(block, output.name)
        return output.answer(values, Context(memory=memory))
    if not output.scales or reason:
        return output.answer(values, NO_CONTEXT, reason)
    if output.feeds_back and (reason := compiled.source.not_continued_reason(state)):
        return output.answer(values, NO_CONTEXT, reason)
    return output.answer(values, make_context(compiled, output, values, state, block, scaling))


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

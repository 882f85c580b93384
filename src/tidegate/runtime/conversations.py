"""Run whole conversations through a model of several graphs: an answer about each message, as in a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..errors import DataError
from ..inputs.base import Steps
from ..outputs.base import Answer, Output
from .answers import make_answer
from .compiled_model import CompiledModel, Floats
from .driven import Writing
from .level_input import LevelInput, Plan
from .ticks import Moment, Tick, find_reason, finish_block, join_answers, run_upper
from .whole_inputs import require_attended, run_inputs

One = TypeVar("One")


class Message(NamedTuple):
    """A message after reading: its steps, the state of the first input after them, and what its end does."""

    steps: Steps
    state: Any
    plan: Plan


class Conversation(NamedTuple):
    """The messages of an input. is_single: it was given as one message, not as a list."""

    messages: list[Message]
    is_single: bool


class Found(NamedTuple):
    """What the graphs give for a message: the answers of the first, the message's end, and the ticks of the others."""

    first: Answer
    moment: Moment
    ticks: list[Tick]


def read_conversations(
    compiled: CompiledModel, verb: str, rows: Any, times: Any, series: Sequence[str] | None, first: int = 0
) -> list[Conversation]:
    """Read whole conversations. verb: what the user called, and first: the number of the first one, for messages.

    Raises DataError naming the message.
    """
    if isinstance(rows, str | bytes):
        raise DataError(f"{verb} takes a list of {compiled.levels[-1]}s; put the text in a list")
    if times is not None:
        raise DataError(f"times were given with whole {compiled.levels[-1]}s; push their messages into a stream")
    if series is not None and len(series) != len(rows):
        raise DataError(f"there are {len(rows)} inputs and {len(series)} series; give one for each input")
    found = list[Conversation]()
    for i, row in enumerate(rows):
        is_single = is_message(row)
        place = f"{compiled.source.noun if is_single else compiled.levels[-1]} {first + i}"
        messages = [row] if is_single else list_messages(row, place)
        found.append(
            Conversation(read_messages(compiled, messages, place, None if series is None else series[i]), is_single)
        )
    return found


def is_message(row: Any) -> bool:
    """Tell whether an input is one message, a text or a pair of it and its side inputs, not a list of messages.

    >>> is_message("hello"), is_message(("hello", {"speaker": "ann"})), is_message(["hello"])
    (True, True, False)
    """
    return isinstance(row, str | bytes) or (isinstance(row, tuple) and len(row) == 2 and isinstance(row[1], Mapping))


def list_messages(row: Any, place: str) -> list[Any]:
    """Return the messages of a conversation. Raises DataError if there are none."""
    try:
        messages = list(row)
    except TypeError:
        raise DataError(f"{place} is {type(row).__name__}; expected a list of messages") from None
    if not messages:
        raise DataError(f"{place} has no message")
    return messages


def read_messages(compiled: CompiledModel, messages: list[Any], place: str, series: str | None) -> list[Message]:
    """Read the messages of one conversation, the last of which ends all levels."""
    reader, found = compiled.reader, list[Message]()
    assert isinstance(reader, LevelInput), "a model with several graphs"
    state, counts = reader.start(series), [0] * (1 + len(compiled.upper))
    for m, message in enumerate(messages):
        try:
            if isinstance(message, tuple) and not is_message(message):
                raise DataError(
                    f"a tuple of {len(message)} was given; expected a message, or a pair of a message and a dict of "
                    "its side inputs"
                )
            x, sides = message if isinstance(message, tuple) else (message, None)
            steps, state = reader.push(x, reader.take(state, sides), None, True)
            ended = len(compiled.levels) if m + 1 == len(messages) else 1
            require_attended(compiled, steps)
            plan = compiled.plan(state, [0, *counts[1:]], steps.number, ended)
            assert plan is not None, "a model with several graphs"
        except DataError as error:
            raise DataError(f"{place}{f', message {m}' if len(messages) > 1 else ''}: {error}") from error
        found.append(Message(steps, state.first, plan))
        state, counts = plan.state, plan.counts
    return found


def run_conversations(compiled: CompiledModel, conversations: list[Conversation]) -> list[list[Found]]:
    """Run conversations and return what the graphs give for each message.

    The first graph runs over all messages in batches; those above it run a message of each conversation at a time.
    """
    places = [(c, m) for c, one in enumerate(conversations) for m in range(len(one.messages))]
    inputs = [(message.steps, message.state) for one in conversations for message in one.messages]
    firsts: dict[tuple[int, int], tuple[Floats, Answer, Floats | None]] = {}
    nothing = np.zeros(compiled.width, np.float32)
    for i, (steps, state) in enumerate(inputs):
        if not compiled.source.is_ready(steps.number):
            answer = make_answer(compiled, nothing, steps.number, state, compiled.initial, True)
            firsts[places[i]] = nothing, answer, None
    for positions, values, all_values, blocks, scaling in run_inputs(compiled, inputs):
        for k, i in enumerate(positions):
            (steps, state), own = inputs[i], compiled.source.select_context(scaling, k)
            answer = make_answer(compiled, values[k], steps.number, state, blocks[k], True, own, all_values[k])
            firsts[places[i]] = values[k], answer, all_values[k]
    writings = {name: Writing(graph) for name, graph in compiled.driven.items()}
    states = [compiled.initial for _ in conversations]
    found: list[list[Found]] = [[] for _ in conversations]
    for m in range(max((len(one.messages) for one in conversations), default=0)):
        here = [c for c, one in enumerate(conversations) if m < len(one.messages)]
        moments = []
        for c in here:
            message = conversations[c].messages[m]
            reason = find_reason(compiled, message.steps.number, True)
            values, _, every = firsts[c, m]
            moments.append(Moment(states[c], values, reason, message.plan, every, writings))
        for c, moment, ticks in zip(here, moments, run_upper(compiled, moments), strict=True):
            states[c] = finish_block(compiled, moment, ticks)
            found[c].append(Found(firsts[c, m][1], moment, ticks))
    return found


def answer_conversations(compiled: CompiledModel, conversations: list[Conversation]) -> list[Any]:
    """Return the answer about each message, in a list for each conversation that was given as a list."""
    found = run_conversations(compiled, conversations)
    answers = [[join_answers(compiled, *one) for one in messages] for messages in found]
    return [own[0] if one.is_single else own for own, one in zip(answers, conversations, strict=True)]


def predict_conversations(compiled: CompiledModel, output: Output, conversations: list[Conversation]) -> list[Floats]:
    """Return the numbers of an output for each conversation [messages, width]. Raises DataError if one has none."""
    found = list[Floats]()
    for c, messages in enumerate(run_conversations(compiled, conversations)):
        rows = list[Floats]()
        for m, one in enumerate(messages):
            reason = find_reason(compiled, conversations[c].messages[m].steps.number, True)
            values = one.moment.values
            for graph, tick in zip(compiled.upper, one.ticks, strict=True):
                if output.name in graph.own:
                    values, reason = tick.values, tick.reason
            if reason:
                raise DataError(f"{compiled.levels[-1]} {c}, message {m}: {reason}")
            rows.append(values)
        found.append(np.asarray(output.convert(np.stack(rows)), np.float32))
    return found


def regroup(flat: Sequence[One], conversations: list[Conversation]) -> list[Any]:
    """Return what belongs to each message in a list for each conversation that was given as a list."""
    found, at = list[Any](), 0
    for one in conversations:
        own = list(flat[at : at + len(one.messages)])
        found.append(own[0] if one.is_single else own)
        at += len(own)
    return found

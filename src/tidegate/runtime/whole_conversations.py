"""Run whole conversations through a model whose graphs tick at the end of another: each graph over all its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..inputs.base import Steps
from ..model import Model
from ..outputs.base import Answer, Answers, Context
from .compiled_model import CompiledModel
from .whole_inputs import WholeInput, read_inputs, run_inputs

Message = tuple[str, Mapping[str, Any]]  # its text, and its side inputs by name


class ConversationPredictor:
    """A model of conversations, compiled for one target. Arguments as of `Predictor`."""

    def __init__(self, model: Model, *arguments: Any) -> None:
        self.model = model
        self.compiled = [CompiledModel(one.model, *arguments) for one in model.levels.values()]

    def answers(self, conversations: Sequence[Sequence[Message]]) -> list[list[Answer]]:
        """Return the answer about each message of whole conversations, given those before it."""
        return run_conversations(self.model, self.compiled, conversations)


def run_conversations(
    model: Model, compiled: Sequence[CompiledModel], conversations: Sequence[Sequence[Message]]
) -> list[list[Answer]]:
    """Return the answer about each message. compiled: the two graphs, of which the second answers. Raises DataError.

    A message without a word has no answer, and the conversation does not step there.
    """
    inner, outer = compiled
    messages = [message for conversation in conversations for message in conversation]
    read = read_inputs(inner, "answers", [text for text, _ in messages], None, None)
    values = np.zeros((len(read), inner.width), np.float32)
    for results in run_inputs(inner, read):
        values[results.positions] = results.values
    answers: list[Answer] = []
    spoken = [inner.source.is_ready(steps.number) for steps, _ in read]
    reads = list(model.levels.values())[1].reads
    rows: list[npt.NDArray[np.float32]] = []
    kept: list[list[int]] = []
    start = 0
    for conversation in conversations:
        own = [i for i in range(start, start + len(conversation)) if spoken[i]]
        start += len(conversation)
        parts = [
            inner.outputs[name].select(values[own]) if name in inner.outputs else read_side(model, name, own, messages)
            for name in reads
        ]
        rows.append(np.concatenate(parts, 1))
        kept.append(own)
    found: dict[int, Any] = {}
    inputs: list[WholeInput] = [(Steps(row, len(row)), b"") for row in rows]
    for results in run_inputs(outer, inputs, per_step=True):
        for position, every in zip(results.positions, results.all_values, strict=True):
            found.update(zip(kept[position], every if every is not None else (), strict=True))
    nothing = np.zeros(outer.width, np.float32)
    for i, (steps, _) in enumerate(read):
        reason = "" if i in found else inner.source.not_ready_reason(steps.number, True)
        each = {name: output.answer(found.get(i, nothing), Context(), reason) for name, output in outer.outputs.items()}
        answers.append(next(iter(each.values())) if len(each) == 1 else Answers(each))
    ends = np.cumsum([len(conversation) for conversation in conversations])
    return [answers[end - len(each) : end] for end, each in zip(ends, conversations, strict=True)]


def read_side(model: Model, name: str, own: Sequence[int], messages: Sequence[Message]) -> npt.NDArray[np.float32]:
    """Return the rows of a side input for the messages of one conversation, [messages, features]."""
    side = model.inputs[name]
    state, rows = side.start(), [np.zeros((0, side.features or 0), np.float32)]
    for i in own:
        steps, state = side.push(messages[i][1].get(name), state)
        rows.append(steps.rows)
    return np.concatenate(rows)

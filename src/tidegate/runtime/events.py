"""Events of a pool: what they consist of, before and after reading."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from ..errors import DataError
from ..inputs.base import Steps
from .compiled_model import CompiledModel
from .level_input import LevelState, Plan

MOST_STEPS: Final = 1 << 16  # steps of one native call; more go in several


class Event(NamedTuple):
    """An event after reading, or one step of it.

    position: in the list of events. input_state: that after it. end: its message ends. is_silent: nobody asks for its
    answer. per_step: whether the answers about all of its steps are wanted. plan: what it does to the graphs above the
    first, if there are several.
    """

    position: int
    id: Hashable
    steps: Steps
    input_state: Any
    end: bool
    is_silent: bool = False
    per_step: bool = False
    plan: Plan | None = None


def parse_event(event: Any) -> tuple[Hashable, Any, Any, Any, Any]:
    """Return an event's id, piece, end, time and side inputs. Raises DataError."""
    size = len(event) if type(event) is tuple or isinstance(event, tuple | list) else 0
    if not 2 <= size <= 5:
        raise DataError("an event is (id, piece), (id, piece, end) or (id, piece, end, time, sides)")
    check_hashable(event[0])
    end, time = event[2] if size > 2 else False, event[3] if size > 3 else None
    return event[0], event[1], end, time, event[4] if size > 4 else None


def check_hashable(key: Any) -> None:
    """Raise DataError unless a stream may have this id."""
    try:
        hash(key)
    except TypeError:
        raise DataError(
            f"a stream's id must be hashable, such as a str or an int; {type(key).__name__} is not"
        ) from None


def plan_parts(
    compiled: CompiledModel, parts: Sequence[Event], counts: list[int], state: Any, ended: int
) -> tuple[Sequence[Event], list[int], Any]:
    """Return parts of an event with their plans, and counts and input state after it, where counts matter.

    counts: how many steps each graph has had before. state: of the input after reading. ended: how many levels end.
    Raises DataError for more steps than are kept, and for a side input that is missing.
    """
    number = sum(part.steps.number for part in parts)
    compiled.require_room(counts[0] + number, state.first if isinstance(state, LevelState) else state)
    if (plan := compiled.plan(state, counts, number, ended)) is None:
        return parts, [0 if ended else counts[0] + number], compiled.source.reset(state) if ended else state
    return [part._replace(plan=plan) for part in parts], plan.counts, plan.state


def own_rows(steps: Steps, x: Any) -> Steps:
    """Return steps whose rows nobody else writes to: the caller may write the next event into the same array x."""
    rows = steps.rows
    return steps._replace(rows=rows.copy()) if rows is x or (rows.base is not None and rows.flags.writeable) else steps


def batches(events: list[Event]) -> Iterator[list[Event]]:
    """Split events, in order, into batches of at most MOST_STEPS steps, or of one event."""
    batch: list[Event] = []
    steps = 0
    for event in events:
        if batch and steps + event.steps.number > MOST_STEPS:
            yield batch
            batch, steps = [], 0
        batch.append(event)
        steps += event.steps.number
    if batch:
        yield batch

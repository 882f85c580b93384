"""Schedule the instructions of a tape in levels: some products and norms each, then one loop over units.

A product or norm needs its whole operand, so its level is one above that of the operand; everything else works unit by
unit. An elementwise instruction runs in the last level that is early enough for its readers. A value that is computed
and read in one level is a number inside the loop; only values that cross levels need an array.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...tape import Tape

WHOLE = ("recur", "project", "norm")  # read a whole vector
LEAVES = ("input", "state", "param", "const")


@dataclass(frozen=True)
class Schedule:
    """The levels of a tape's instructions.

    levels: their number. level: instruction -> its level, for those that a result depends on. crossing: elementwise
    instructions that are read as a whole vector or in a later level.
    """

    levels: int
    level: dict[int, int]
    crossing: frozenset[int]


def schedule(tape: Tape) -> Schedule:
    """Schedule a tape's instructions.

    >>> from ... import cells
    >>> after, before = (schedule(cells.load("gru", {"reset": reset}).tape) for reset in ("after", "before"))
    >>> after.levels, sorted(after.crossing), before.levels, len(before.crossing)
    (2, [], 3, 1)
    """
    wanted = find_needed(tape)
    first = earliest_levels(tape, wanted)
    last = max(first.values())
    level = latest_levels(tape, wanted, first, last)
    return Schedule(last + 1, level, frozenset(find_crossing(tape, level, last)))


def find_needed(tape: Tape) -> list[int]:
    """Return the instructions that the output or a next state depends on, in order."""
    required = {tape.output, *(r for state, r in tape.next.items() if changes(tape, state))}
    for i in range(len(tape.instructions) - 1, -1, -1):
        if i in required:
            required.update(tape.operands(i))
    return sorted(required)


def changes(tape: Tape, state: str) -> bool:
    """Tell whether a step may change a state."""
    ins = tape.instructions[tape.next[state]]
    return (ins.name, *ins.args) != ("state", state)


def earliest_levels(tape: Tape, wanted: list[int]) -> dict[int, int]:
    level: dict[int, int] = {}
    for i in wanted:
        above = max((level[r] for r in tape.operands(i)), default=0)
        level[i] = above + (tape.instructions[i].name in WHOLE)
    return level


def latest_levels(tape: Tape, wanted: list[int], first: dict[int, int], last: int) -> dict[int, int]:
    """Move elementwise instructions up to the level of their first reader."""
    level = dict(first)
    bound = dict.fromkeys(wanted, last)
    for i in reversed(wanted):
        whole = tape.instructions[i].name in WHOLE
        if not whole and tape.instructions[i].name not in LEAVES:
            level[i] = bound[i]
        for r in tape.operands(i):
            bound[r] = min(bound[r], level[i] - whole)
    return level


def find_crossing(tape: Tape, level: dict[int, int], last: int) -> set[int]:
    registers = set[int]()
    for i in level:
        whole = tape.instructions[i].name in WHOLE
        registers.update(r for r in tape.operands(i) if whole or level[r] < level[i])
    registers.update(r for r in (tape.output, *tape.next.values()) if level.get(r, last) < last)
    return {r for r in registers if tape.instructions[r].name not in (*WHOLE, *LEAVES)}

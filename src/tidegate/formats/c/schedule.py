"""When each instruction of a tape runs: in levels, each some products and norms, then one loop over units.

A product or norm needs the whole of what it reads, so its level is one above that of its operand; everything else works
unit by unit. An elementwise instruction stands in the last level that still serves those who read it: what is made and
read in one level is a number of the loop, and only what crosses a level needs an array.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...tape import Tape

WHOLE = ("recur", "project", "norm")  # read a whole vector
LEAVES = ("input", "state", "param", "const")


@dataclass(frozen=True)
class Schedule:
    """levels: how many there are. level: of each instruction that a result needs. crossing: those elementwise ones that
    are read as a whole vector, or in a later level than their own."""

    levels: int
    level: dict[int, int]
    crossing: frozenset[int]


def schedule(tape: Tape) -> Schedule:
    """The levels of a tape's instructions.

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
    """The instructions that the output or a next state depends on, in order."""
    found = {tape.output, *(r for state, r in tape.next.items() if changes(tape, state))}
    for i in range(len(tape.instructions) - 1, -1, -1):
        if i in found:
            found.update(tape.operands(i))
    return sorted(found)


def changes(tape: Tape, state: str) -> bool:
    """Whether a step may give a state another value."""
    ins = tape.instructions[tape.next[state]]
    return (ins.name, *ins.args) != ("state", state)


def earliest_levels(tape: Tape, wanted: list[int]) -> dict[int, int]:
    level: dict[int, int] = {}
    for i in wanted:
        above = max((level[r] for r in tape.operands(i)), default=0)
        level[i] = above + (tape.instructions[i].name in WHOLE)
    return level


def latest_levels(tape: Tape, wanted: list[int], first: dict[int, int], last: int) -> dict[int, int]:
    """Elementwise instructions moved up to their first reader; the others as they are."""
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
    found = set[int]()
    for i in level:
        whole = tape.instructions[i].name in WHOLE
        found.update(r for r in tape.operands(i) if whole or level[r] < level[i])
    found.update(r for r in (tape.output, *tape.next.values()) if level.get(r, last) < last)
    return {r for r in found if tape.instructions[r].name not in (*WHOLE, *LEAVES)}

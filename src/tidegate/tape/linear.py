"""Find linear tapes: each state becomes a * itself + b, where a and b depend only on inputs and states solved before.

The rule holds element by element, so no recurrent map and no norm may read the state in question. All steps of a
linear tape can be solved at once, by a scan.
"""

from __future__ import annotations

from .tape import Tape

FREE, LINEAR, OTHER = 0, 1, 2  # how a register depends on the state in question


def is_linear(tape: Tape) -> bool:
    """Tell whether all steps of a tape can be solved at once.

    >>> from tidegate import cells
    >>> is_linear(cells.load("mingru").tape), is_linear(cells.load("gru").tape)
    (True, False)
    """
    return len(solvable_states(tape)) == len(tape.state)


def solvable_states(tape: Tape) -> list[str]:
    """List the states that can be solved for all steps at once, each after the states that it needs."""
    solved: list[str] = []
    unsolved = list(tape.state)
    while linear := [n for n in unsolved if classify_registers(tape, n, solved)[tape.next[n]] < OTHER]:
        solved.append(linear[0])
        unsolved.remove(linear[0])
    return solved


def classify_registers(tape: Tape, state: str, solved: list[str]) -> list[int]:
    """Classify how each register depends on a state (FREE, LINEAR or OTHER), once the `solved` states are known."""
    classes: list[int] = []
    for i, ins in enumerate(tape.instructions):
        operands = [classes[r] for r in tape.operands(i)]
        if ins.name == "state":
            classes.append(LINEAR if ins.args[0] == state else FREE if ins.args[0] in solved else OTHER)
        elif ins.name in ("add", "sub", "neg"):
            classes.append(max(operands))
        elif ins.name == "mul" or (ins.name == "div" and operands[1] == FREE):
            classes.append(min(sum(operands), OTHER))
        else:
            classes.append(OTHER if any(operands) else FREE)
    return classes

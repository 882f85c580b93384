"""Which tapes are linear: each state, given those solved before it, becomes a * itself + b with a and b free of it.

Element by element, so that no recurrent map and no norm may see the state in question.
"""

from __future__ import annotations

from .tape import Tape

FREE, LINEAR, OTHER = 0, 1, 2  # how a register depends on the state in question


def is_linear(tape: Tape) -> bool:
    """Whether all steps of a tape can be solved at once."""
    return len(order(tape)) == len(tape.state)


def order(tape: Tape) -> list[str]:
    """The states that can be solved, each after those that it needs."""
    found: list[str] = []
    while fit := [n for n in tape.state if n not in found and kinds(tape, n, found)[tape.next[n]] < OTHER]:
        found.append(fit[0])
    return found


def kinds(tape: Tape, state: str, known: list[str]) -> list[int]:
    """How each register depends on a state when the `known` ones are given for all steps."""
    found: list[int] = []
    for i, ins in enumerate(tape.instructions):
        operands = [found[r] for r in tape.operands(i)]
        if ins.name == "state":
            found.append(LINEAR if ins.args[0] == state else FREE if ins.args[0] in known else OTHER)
        elif ins.name in ("add", "sub", "neg"):
            found.append(max(operands))
        elif ins.name == "mul" or (ins.name == "div" and operands[1] == FREE):
            found.append(min(sum(operands), OTHER))
        else:
            found.append(OTHER if any(operands) else FREE)
    return found

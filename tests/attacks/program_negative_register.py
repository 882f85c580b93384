"""An operation reads a register before the first one."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "operation 2 (sub): reads register -1; only the 2 registers before it"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].__setitem__(2, ["sub", 1, -1]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""An operation reads a register that is written later."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "operation 2 (sub): reads register 10; only the 2 registers before it"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].__setitem__(2, ["sub", 1, 10]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""An operation reads the register that it writes."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "operation 6 (sigmoid): reads register 6; only the 6 registers before it can be read"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].__setitem__(6, ["sigmoid", 6]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

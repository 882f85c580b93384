"""An operation without the register that it needs."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "operation 6 (sigmoid): has 0 arguments; it takes 1"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].__setitem__(6, ["sigmoid"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

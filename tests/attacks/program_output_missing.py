"""The output is a register that does not exist."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "the output is register 12; there are 12"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"].__setitem__("output", 12))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

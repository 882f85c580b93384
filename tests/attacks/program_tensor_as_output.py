"""The output does not depend on the input."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "the output depends on tensors alone; it must depend on the input or a state"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"].__setitem__("output", 4))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

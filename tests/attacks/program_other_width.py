"""A layer claims a wider input than the output before it."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "inputs is 5; the input is 4 wide"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node.__setitem__("inputs", 5))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A state of a petabyte, declared in a few bytes."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "has shape [16777216, 16777216]; at most 4 axes and 1048576 numbers are allowed"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["state"].__setitem__("mean", [1 << 24, 1 << 24]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A reshape claims a petabyte."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "has the shape (1125899906842624, 1)"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].append(["reshape", 1, [1 << 50, 1]]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A reshape has an axis without any numbers."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "has the shape (4, 0)"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].append(["reshape", 1, [4, 0]]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

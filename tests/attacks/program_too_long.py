"""A program has one operation more than is allowed."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "the program has 4097 operations; at most 4096"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].extend([["sigmoid", 5]] * 4085))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A register is a list inside lists."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "operation 6 (sigmoid): reads register ([[[5]]],)"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].__setitem__(6, ["sigmoid", [[[[5]]]]]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

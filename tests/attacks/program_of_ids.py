"""A program in the middle of the graph takes token ids."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "reads numbers, but the input is token ids"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"].__setitem__("ids", 3))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

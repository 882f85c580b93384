"""A use is given for a tensor that does not exist."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "roles has 'gain': 'matrix'; expected a tensor of the program"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["roles"].__setitem__("gain", "matrix"))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

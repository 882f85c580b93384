"""An operation reads a tensor that the program does not declare."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "there is no tensor 'gain'; choose one of weight, bias, rate"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].__setitem__(8, ["tensor", "gain", 0, [1]]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

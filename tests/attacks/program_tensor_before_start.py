"""A view of a tensor begins before the tensor."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "reads numbers -4 to 12 of 'weight', which has 16"


def attack(valid: bytes) -> bytes:
    return with_program(
        valid, lambda node: node["program"]["operations"].__setitem__(3, ["tensor", "weight", -4, [4, 4]])
    )


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

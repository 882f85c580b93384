"""A constant does not fit in a float32."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "the constant 1e+300 is not a finite number that fits float32"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].append(["const", 1e300]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

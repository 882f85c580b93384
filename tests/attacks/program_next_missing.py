"""A state has no next value."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "the next states are []; expected ['mean']"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"].__setitem__("next", {}))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

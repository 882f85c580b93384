"""The next value of a state has another shape."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "state 'mean' becomes shape [4]; it is declared [3]"
other = {"state": {"mean": [3]}, "next": {"mean": 0}, "operations": [["input"]], "output": 0}


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"].update(other))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

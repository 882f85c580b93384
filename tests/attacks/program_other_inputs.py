"""A program reads more numbers than the layer before it has."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "program.inputs is 5; expected inputs, 4, and no ids"
wider = {"inputs": 5, "state": {}, "next": {}, "operations": [["input"]], "output": 0}


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"].update(wider))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""An operation that does not exist, where its arguments are looked at before its name."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "unknown operation 'system'; choose one of input"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["program"]["operations"].append(["system", "rm"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A layer does not say which tensor of the file it means."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "layers[3].tensors"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node["tensors"].pop("rate"))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

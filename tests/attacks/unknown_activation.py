"""An unknown activation, to be looked up by its name."""

from hostile import run, with_document

REFUSED = "activation is '__class__'; choose one of none, relu, tanh, sigmoid"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["graphs"]["layers"]["nodes"][5].update(activation="__class__"))


if __name__ == "__main__":
    run(attack, REFUSED)

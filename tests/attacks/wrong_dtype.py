"""Weights as integers of the same size."""

from hostile import join, run, split

REFUSED = "layers[1].tensors.b: tensor 'layers.1.b' is I32; expected F32"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["layers.1.b"]["dtype"] = "I32"
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

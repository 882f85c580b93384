"""A matrix transposed."""

from hostile import join, run, split

REFUSED = "tensor 'layers.1.W' has shape [5, 24]; expected [24, 5]"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["layers.1.W"]["shape"].reverse()
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

"""A shape whose product is 2^64, which is 0 in 64 bits."""

from hostile import join, run, split

REFUSED = "is too large for any memory"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["layers.1.W"]["shape"] = [2**32, 2**32]
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

"""A tensor claims a petabyte that the file does not have."""

from hostile import join, run, split

REFUSED = "needs 1125899906842624 bytes, but its offsets span"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["layers.1.W"]["shape"] = [2**24, 2**24]
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

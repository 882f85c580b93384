"""A header of 2^60 bytes is announced, to make the reader allocate it."""

from hostile import run

REFUSED = "header has 1152921504606846976 bytes; at most 4000000 are allowed"


def attack(valid: bytes) -> bytes:
    return (2**60).to_bytes(8, "little") + valid[8:]


if __name__ == "__main__":
    run(attack, REFUSED)

"""A header of 4 GB is announced, to make the reader allocate it."""

from hostile import run

REFUSED = "the state's header has 4294967295 bytes; at most 1048576 are allowed"


def attack(valid: bytes) -> bytes:
    return valid[:20] + b"\xff\xff\xff\xff" + valid[24:]


if __name__ == "__main__":
    run(attack, REFUSED)

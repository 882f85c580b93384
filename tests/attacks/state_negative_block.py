"""A negative block size, so that the output would lie in the header."""

from hostile import run, with_fields

REFUSED = "the state's block is -64; expected a size"


def attack(valid: bytes) -> bytes:
    return with_fields(valid, block=-64)


if __name__ == "__main__":
    run(attack, REFUSED)

"""A header that places the count of steps elsewhere, so that the true one is not checked."""

from hostile import run, with_array

REFUSED = "the state's first array must be steps, one int64 at offset 0"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 0, offset=8)


if __name__ == "__main__":
    run(attack, REFUSED)

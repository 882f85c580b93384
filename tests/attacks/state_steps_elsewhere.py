"""The count of steps is said to lie where other numbers are, so that the true one is not looked at."""

from hostile import run, with_array

REFUSED = "the state's first array must be steps, one int64 at offset 0"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 0, offset=8)


if __name__ == "__main__":
    run(attack, REFUSED)

"""Two arrays share their bytes."""

from hostile import run, with_array

REFUSED = "is at byte 8; expected a multiple of its item size, behind the array"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 2, offset=8)


if __name__ == "__main__":
    run(attack, REFUSED)

"""Two arrays share their bytes."""

from hostile import run, with_array

REFUSED = "lies at byte 8; expected a multiple of its items' size, behind the array"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 2, offset=8)


if __name__ == "__main__":
    run(attack, REFUSED)

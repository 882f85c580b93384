"""An array before the start of the block."""

from hostile import run, with_array

REFUSED = "arrays must each have a name, dtype, shape and offset within the block"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 1, offset=-8)


if __name__ == "__main__":
    run(attack, REFUSED)

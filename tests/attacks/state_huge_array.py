"""An array of more numbers than the state has."""

from hostile import run, with_array

REFUSED = "arrays must each have a name, dtype, shape and offset within the block"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 1, shape=[1 << 24] * 4)


if __name__ == "__main__":
    run(attack, REFUSED)

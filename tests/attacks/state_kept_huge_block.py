"""A state of a few bytes whose block would be half a terabyte."""

from hostile import run, with_array, with_fields

MODEL = "finals"
REFUSED = "the state's block has 549755813888 bytes; at most 268435456 are allowed with these arrays"


def attack(valid: bytes) -> bytes:
    shape = [1 << 24, (1 << 13) - 1]
    return with_fields(with_array(valid, 1, shape=shape), block=1 << 39)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

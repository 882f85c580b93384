"""A header that announces a block of half a terabyte."""

from hostile import run, with_fields

REFUSED = "the state is cut short: it has"


def attack(valid: bytes) -> bytes:
    return with_fields(valid, block=1 << 39)


if __name__ == "__main__":
    run(attack, REFUSED)

"""A block size that no machine integer can hold."""

from hostile import run, with_fields

REFUSED = "the state's block is 9223372036854775808; expected a size"


def attack(valid: bytes) -> bytes:
    return with_fields(valid, block=1 << 63)


if __name__ == "__main__":
    run(attack, REFUSED)

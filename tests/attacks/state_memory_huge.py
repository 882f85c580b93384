"""A memory of four gigabytes, according to the header."""

from hostile import run, with_fields

MODEL = "stations"
REFUSED = "the state's pending has 4294967296 bytes; at most 33554432 are allowed"


def attack(valid: bytes) -> bytes:
    return with_fields(valid, pending=1 << 32)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

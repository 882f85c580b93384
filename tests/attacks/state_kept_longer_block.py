"""A block that goes on behind its last array."""

from hostile import run, with_fields

MODEL = "finals"
REFUSED = "the state's block has 4113 bytes; at most 4111 are allowed with these arrays"


def attack(valid: bytes) -> bytes:
    return with_fields(valid, block=4113)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

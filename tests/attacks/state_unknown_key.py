"""A key that states do not have."""

from hostile import run, with_fields

REFUSED = "the state's header must have the keys"


def attack(valid: bytes) -> bytes:
    return with_fields(valid, run="import os")


if __name__ == "__main__":
    run(attack, REFUSED)

"""A model file in place of a state."""

from hostile import run
from hostile import valid as valid_model

REFUSED = "these bytes are not a state: they start with"


def attack(valid: bytes) -> bytes:
    return valid_model()


if __name__ == "__main__":
    run(attack, REFUSED)

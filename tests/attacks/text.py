"""A text file with the name of a model."""

from hostile import run

REFUSED = "; this looks like text"


def attack(valid: bytes) -> bytes:
    return b"text,label\nwhat is my balance,balance\n"


if __name__ == "__main__":
    run(attack, REFUSED)

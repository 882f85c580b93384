"""A text file with the name of a model."""

from hostile import run

REFUSED = "looks like text; expected safetensors; if it is data, tidegate fit makes a model from it"


def attack(valid: bytes) -> bytes:
    return b"text,label\nwhat is my balance,balance\n"


if __name__ == "__main__":
    run(attack, REFUSED)

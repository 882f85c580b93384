"""The file ends inside its header."""

from hostile import run

REFUSED = "but the file ends after 92 of them"


def attack(valid: bytes) -> bytes:
    return valid[:100]


if __name__ == "__main__":
    run(attack, REFUSED)

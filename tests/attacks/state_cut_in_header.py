"""The state ends inside its header."""

from hostile import run

REFUSED = "is cut short: its header has"


def attack(valid: bytes) -> bytes:
    return valid[:100]


if __name__ == "__main__":
    run(attack, REFUSED)

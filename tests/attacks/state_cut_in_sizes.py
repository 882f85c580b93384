"""The state ends before the length of its header."""

from hostile import run

REFUSED = "is cut short: it has 22 bytes; expected at least 24"


def attack(valid: bytes) -> bytes:
    return valid[:22]


if __name__ == "__main__":
    run(attack, REFUSED)

"""The state ends inside its magic bytes."""

from hostile import run

REFUSED = "is cut short: it has 9 bytes; expected at least 24"


def attack(valid: bytes) -> bytes:
    return valid[:9]


if __name__ == "__main__":
    run(attack, REFUSED)

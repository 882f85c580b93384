"""An empty state."""

from hostile import run

REFUSED = "these bytes are not a state: they start with b''"


def attack(valid: bytes) -> bytes:
    return b""


if __name__ == "__main__":
    run(attack, REFUSED)

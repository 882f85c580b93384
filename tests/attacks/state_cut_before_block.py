"""The state ends with its header."""

from hostile import run

REFUSED = "the state is cut short: it has"


def attack(valid: bytes) -> bytes:
    return valid[: 24 + int.from_bytes(valid[20:24], "little")]


if __name__ == "__main__":
    run(attack, REFUSED)

"""The last byte is missing, as after a broken copy."""

from hostile import run

REFUSED = "the state is cut short: it has"


def attack(valid: bytes) -> bytes:
    return valid[:-1]


if __name__ == "__main__":
    run(attack, REFUSED)

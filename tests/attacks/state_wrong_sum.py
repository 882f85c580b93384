"""One bit of a number is flipped."""

from hostile import run

REFUSED = "the state is damaged: its SHA-256 does not match"


def attack(valid: bytes) -> bytes:
    return valid[:-60] + bytes([valid[-60] ^ 4]) + valid[-59:]


if __name__ == "__main__":
    run(attack, REFUSED)

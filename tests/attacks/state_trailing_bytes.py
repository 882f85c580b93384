"""Bytes after the sum, where something else could hide."""

from hostile import run

REFUSED = "the state has bytes after its end"


def attack(valid: bytes) -> bytes:
    return valid + b"stowaway"


if __name__ == "__main__":
    run(attack, REFUSED)

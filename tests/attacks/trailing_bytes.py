"""Bytes after the last tensor, where something else could hide."""

from hostile import run

REFUSED = "has 8 bytes after its last tensor, where the file must end"


def attack(valid: bytes) -> bytes:
    return valid + b"stowaway"


if __name__ == "__main__":
    run(attack, REFUSED)

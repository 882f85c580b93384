"""An empty file."""

from hostile import run

REFUSED = "is empty; a safetensors file starts with 8 bytes"


def attack(valid: bytes) -> bytes:
    return b""


if __name__ == "__main__":
    run(attack, REFUSED)

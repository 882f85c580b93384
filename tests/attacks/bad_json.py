"""The header's last brace is missing."""

from hostile import join, run

REFUSED = "the JSON is broken: Expecting ',' delimiter"


def attack(valid: bytes) -> bytes:
    length = int.from_bytes(valid[:8], "little")
    return join(valid[8 : 8 + length].rstrip()[:-1], valid[8 + length :])


if __name__ == "__main__":
    run(attack, REFUSED)

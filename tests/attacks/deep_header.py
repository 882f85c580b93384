"""Two million brackets for a header."""

from hostile import join, run

REFUSED = "the JSON is nested deeper than 32 levels"


def attack(valid: bytes) -> bytes:
    return join(b'{"a":' + b"[" * 1_900_000 + b"]" * 1_900_000 + b"}", b"")


if __name__ == "__main__":
    run(attack, REFUSED)

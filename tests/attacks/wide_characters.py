"""One wide character makes a 4 MB document four times as large in memory."""

from hostile import run, with_text

REFUSED = "format is None; expected 2"


def attack(valid: bytes) -> bytes:
    return with_text(valid, '{"a": "\U0001f30a' + "x" * 3_900_000 + '"}')


if __name__ == "__main__":
    run(attack, REFUSED)

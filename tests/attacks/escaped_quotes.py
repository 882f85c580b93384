"""Two million escapes in one string that never ends, against slow scanners."""

from hostile import join, run

REFUSED = "the JSON is broken: Unterminated string"


def attack(valid: bytes) -> bytes:
    return join(b'{"' + b'\\"' * 1_990_000, b"")


if __name__ == "__main__":
    run(attack, REFUSED)

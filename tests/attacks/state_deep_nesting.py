"""Half a million brackets for a header, to overflow the stack of a recursive parser."""

from hostile import join_state, run

REFUSED = "the JSON is nested deeper than 32 levels"


def attack(valid: bytes) -> bytes:
    return join_state(b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}", b"")


if __name__ == "__main__":
    run(attack, REFUSED)

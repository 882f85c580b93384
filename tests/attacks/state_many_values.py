"""A third of a million empty objects in 1 MB of header: 25 MB once they are Python objects."""

from hostile import join_state, run

REFUSED = "the JSON has more than 200000 values"


def attack(valid: bytes) -> bytes:
    return join_state(b'{"a":[' + b"{}," * 340_000 + b"{}]}", b"")


if __name__ == "__main__":
    run(attack, REFUSED)

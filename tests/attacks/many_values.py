"""1.3 million empty objects in 4 MB of header: 100 MB once they are Python objects."""

from hostile import join, run

REFUSED = "the JSON has more than 200000 values"


def attack(valid: bytes) -> bytes:
    return join(b'{"a":[' + b"{}," * 1_300_000 + b"{}]}", b"")


if __name__ == "__main__":
    run(attack, REFUSED)

"""A first state of nested lists, where a flat row of numbers belongs."""

from typing import Any

from hostile import run, with_document

REFUSED = "initial.h must be float32 numbers of shape [8]"


def attack(valid: bytes) -> bytes:
    nested: Any = [0.0] * 90_000
    for _ in range(20):
        nested = [nested, [0.0]]
    return with_document(valid, lambda document: document["graphs"]["layers"]["nodes"][1].update(initial={"h": nested}))


if __name__ == "__main__":
    run(attack, REFUSED)

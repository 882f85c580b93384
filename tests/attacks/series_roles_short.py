"""Fewer roles than columns."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "input.roles: has 2 entries and input.columns 3; they must be equal"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"].update(roles=["target", "past"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

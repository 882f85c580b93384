"""Fewer roles than columns."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.roles: has 2 entries and inputs.x.columns 3; they must be equal"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"].update(roles=["past", "past"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

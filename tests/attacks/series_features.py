"""A width that does not match the columns."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "input.features: is 31; the other keys of input give 30"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"].update(features=31))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

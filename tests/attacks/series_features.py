"""A width that does not match the columns."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.features: is 31; the other keys give 30"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"].update(features=31))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""Segments of zero steps."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.window.segment: is 0; expected an integer of 1 to 6"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["window"].update(segment=0))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""Segments that do not fill the window."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.window.segment: is 4, which does not divide the window's length, 6"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["window"].update(segment=4))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A width that is true instead of a number."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "inputs.x.features: is True; the other keys give 1"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"].update(features=True))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

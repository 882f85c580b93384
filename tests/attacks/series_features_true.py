"""A width that is no number."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "input.features: is True; the keys beside it give 1"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"].update(features=True))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""Labels of a forecast."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "labels: are there, and a model with input.answer forecasts; expected null"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(labels=["a", "b", "c"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

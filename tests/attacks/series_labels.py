"""A forecaster with labels."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "labels: must be null, as a model with input.answer forecasts"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(labels=["a", "b", "c"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

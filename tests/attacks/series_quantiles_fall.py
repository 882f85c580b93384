"""Quantiles in descending order."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "outputs.forecast.quantiles: are [0.1, 0.9, 0.5]; each must be greater than the one before"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(quantiles=[0.1, 0.9, 0.5]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A quantile of 1, which nothing is above."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "outputs.forecast.quantiles[2]: is 1.0; expected a number between 0 and 1"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(quantiles=[0.1, 0.5, 1.0]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

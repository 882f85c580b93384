"""No quantiles at all."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "outputs.forecast.quantiles: has 0 entries; expected a list of 1 to 99"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(quantiles=[]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A horizon that does not match the outputs of the last layer."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "outputs.forecast: needs 9 numbers; its node gives 6"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(horizon=3))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

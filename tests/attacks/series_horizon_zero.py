"""A forecast of no steps."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "outputs.forecast.horizon: is 0; expected an integer of 1 to 65536"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(horizon=0))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

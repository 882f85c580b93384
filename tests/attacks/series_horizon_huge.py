"""A forecast of far too many steps."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "outputs.forecast.horizon: is 1000000000; expected an integer of 1 to 65536"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(horizon=10**9))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A horizon that does not match the outputs of the last layer."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "input.answer: needs 9 outputs; the last layer has 6"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"]["answer"].update(horizon=3))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

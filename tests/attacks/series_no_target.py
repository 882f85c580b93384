"""A forecast of a column that is known ahead."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "outputs.forecast.columns: is ['holiday']; expected names of past columns of inputs.x"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(columns=["holiday"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

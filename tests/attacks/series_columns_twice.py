"""Two columns of one name."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "input.columns: 'load' stands twice; each must be there once"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"].update(columns=["load", "load", "holiday"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""An unknown way to treat missing numbers."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.missing: is 'guess'; expected one of error, drop, ffill, mask"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"].update(missing="guess"))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""Missing numbers as a mask, without the means that this needs."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.scale: is null; missing 'mask' needs the mean"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"].update(scale=None))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

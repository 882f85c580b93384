"""Names of series, although a window does the scaling."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.scale.names: must be null with a window or without deviations"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["scale"].update(names=["a"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

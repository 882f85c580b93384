"""A mean without deviations, although forecasts need their unit."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "inputs.x.scale.deviation: is null; a mean without deviation is for missing 'mask' only"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["scale"].update(deviation=None))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

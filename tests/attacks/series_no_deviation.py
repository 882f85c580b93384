"""A mean alone, where forecasts need their unit."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "input.scale.deviation: is null; the mean alone is for missing 'mask' only"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"]["scale"].update(deviation=None))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

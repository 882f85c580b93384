"""Names, where a window scales."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "input.scale.names: only without a window, and with deviations, has a series its own"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"]["scale"].update(names=["a"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

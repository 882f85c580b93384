"""A window of too many steps."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.window.length: is 1048577; expected an integer of 1 to 1048576"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["window"].update(length=1048577))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

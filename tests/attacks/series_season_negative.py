"""A season that lies in the future."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.window.season: is -4; expected an integer of 0"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["window"].update(season=-4))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

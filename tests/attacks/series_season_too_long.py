"""A window and a season that are too long together."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.window.season: is 1048571; expected an integer of 0 to 1048570"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["window"].update(season=1048571))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

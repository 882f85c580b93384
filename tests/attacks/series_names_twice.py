"""Two series of one name."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "input.scale.names: 'north' stands twice; each must be there once"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"]["scale"].update(names=["north", "north"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""Two series of the same name."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "inputs.x.scale.names: 'north' appears twice; each entry must appear once"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["scale"].update(names=["north", "north"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""Two columns of the same name."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.columns: 'load' appears twice; each entry must appear once"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"].update(columns=["load", "load", "holiday"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""Statistics that are not in the file."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "inputs.x.scale.mean: there is no tensor 'input.mode' in the file"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["scale"].update(mean="input.mode"))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""An unknown role."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.roles[1]: is 'future'; expected one of past, known, static"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"].update(roles=["past", "future", "known"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""An unknown role."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "input.roles[1]: is 'future'; expected one of target, past, known, static"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"].update(roles=["target", "future", "known"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

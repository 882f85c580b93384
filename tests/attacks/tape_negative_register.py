"""A register counted from the end, as Python would read it."""

from hostile import run, with_document

REFUSED = "reads register -1; only the"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["tapes"]["gru"]["instructions"].__setitem__(3, ["add", 0, -1]))


if __name__ == "__main__":
    run(attack, REFUSED)

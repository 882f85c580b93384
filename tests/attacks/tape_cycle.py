"""An instruction reads the register that it writes."""

from hostile import run, with_document

REFUSED = "reads register 4; only the 4 registers before it can be read"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["tapes"]["gru"]["instructions"].__setitem__(4, ["sigmoid", 4]))


if __name__ == "__main__":
    run(attack, REFUSED)

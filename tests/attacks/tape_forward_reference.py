"""An instruction reads a register that is written later."""

from hostile import run, with_document

REFUSED = "reads register 200; only the"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["tapes"]["gru"]["instructions"].insert(4, ["tanh", 200]))


if __name__ == "__main__":
    run(attack, REFUSED)

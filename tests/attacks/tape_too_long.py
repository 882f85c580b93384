"""A hundred thousand instructions."""

from hostile import run, with_document

REFUSED = "instructions; 1 to 256 are allowed"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["tapes"]["gru"]["instructions"].extend([["tanh", 0]] * 60_000))


if __name__ == "__main__":
    run(attack, REFUSED)

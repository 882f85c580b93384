"""The output is a register that no instruction writes."""

from hostile import run, with_document

REFUSED = "output is register 900; there are 17"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["tapes"]["gru"].update(output=900))


if __name__ == "__main__":
    run(attack, REFUSED)

"""An operation outside the closed list."""

from hostile import run, with_document

REFUSED = "unknown operation 'system'; choose one of"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["tapes"]["gru"]["instructions"].append(["system", 0]))


if __name__ == "__main__":
    run(attack, REFUSED)

"""A ring of steps that is larger than a state may be."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x: a stream must keep 83886120 bytes; at most 33554432 are allowed"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["window"].update(season=(1 << 20) - 6))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

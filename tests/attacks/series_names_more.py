"""More names than statistics."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "tensor 'input.mean' has shape [2, 1]; expected [3, 1]"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"]["scale"].update(names=["a", "b", "c"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A layer adds the output of a later one."""

from hostile import run, with_document

REFUSED = "layers[3].add: is 5; expected the index of an earlier layer"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["graphs"]["layers"]["nodes"][3].update(add=5))


if __name__ == "__main__":
    run(attack, REFUSED)

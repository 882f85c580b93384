"""A format from the future."""

from hostile import run, with_document

REFUSED = "was made by a newer tidegate (format 3); this version reads format 2; upgrade tidegate"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(format=3))


if __name__ == "__main__":
    run(attack, REFUSED)

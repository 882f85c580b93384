"""A format from the future."""

from hostile import run, with_document

REFUSED = "was made by a newer tidegate (format 2); this version reads format 1; upgrade tidegate"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(format=2))


if __name__ == "__main__":
    run(attack, REFUSED)

"""A layer with the width of a projection, over a tape without one."""

from hostile import run, with_document

REFUSED = "project is present, but the tape has no projection; remove it"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["graphs"]["layers"]["nodes"][1].update(project=4))


if __name__ == "__main__":
    run(attack, REFUSED)

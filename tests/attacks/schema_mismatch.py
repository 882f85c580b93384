"""An array of the state lies behind the end of the block."""

from hostile import run, with_document

REFUSED = "state.arrays[1]: is {'name': 'layers.1.h'"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["state"]["arrays"][1].update(offset=4096))


if __name__ == "__main__":
    run(attack, REFUSED)

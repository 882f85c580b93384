"""A key that this format does not have."""

from hostile import run, with_document

REFUSED = "the document: unknown key 'run'; expected format, task"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(run="import os"))


if __name__ == "__main__":
    run(attack, REFUSED)

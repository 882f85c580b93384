"""The file says that it does not stream, and each of its layers does."""

from hostile import run, with_document

REFUSED = "streams.yes: is False; expected True, as each of its layers goes step by step"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(streams={"yes": False, "because": "of nothing"}))


if __name__ == "__main__":
    run(attack, REFUSED)

"""A window that says it does not stream."""

from hostile import run, with_document

MODEL = "gestures"
REFUSED = "streams.yes: is False; expected True, as each of its layers goes step by step"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(streams={"yes": False, "because": "I say so"}))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A model with a window that says it cannot stream."""

from hostile import run, with_document

MODEL = "gestures"
REFUSED = "streams.yes: is False; expected True, as all of its layers run step by step"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(streams={"yes": False, "because": "I say so"}))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A file that says it cannot stream, although all of its layers can."""

from hostile import run, with_document

REFUSED = "streams.yes: is False; expected True, as all of its layers run step by step"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(streams={"yes": False, "because": "of nothing"}))


if __name__ == "__main__":
    run(attack, REFUSED)

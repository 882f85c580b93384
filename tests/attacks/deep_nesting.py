"""A hundred thousand brackets in the document, to overflow the stack of a recursive parser."""

from hostile import run, with_text

REFUSED = "the JSON is nested deeper than 32 levels"


def attack(valid: bytes) -> bytes:
    return with_text(valid, '{"provenance": ' + "[" * 100_000 + "]" * 100_000 + "}")


if __name__ == "__main__":
    run(attack, REFUSED)

"""A key of the document stands twice."""

from hostile import document_text, run, with_text

REFUSED = "in the JSON, the key 'format' stands twice in one object"


def attack(valid: bytes) -> bytes:
    return with_text(valid, '{"format": 1, ' + document_text(valid)[1:])


if __name__ == "__main__":
    run(attack, REFUSED)

"""A key of the document appears twice."""

from hostile import document_text, run, with_text

REFUSED = "in the JSON, the key 'format' appears twice in one object"


def attack(valid: bytes) -> bytes:
    return with_text(valid, '{"format": 1, ' + document_text(valid)[1:])


if __name__ == "__main__":
    run(attack, REFUSED)

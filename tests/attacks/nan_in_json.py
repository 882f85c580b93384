"""NaN as a number, which is not JSON and is equal to nothing."""

from hostile import document_text, run, with_text

REFUSED = "in the JSON, NaN is not a JSON number"


def attack(valid: bytes) -> bytes:
    return with_text(valid, document_text(valid).replace('"eps": 1e-05', '"eps": NaN'))


if __name__ == "__main__":
    run(attack, REFUSED)

"""An integer of a million digits, slow to convert in square time."""

from hostile import run, with_text

REFUSED = "the JSON has an integer of 1000000 characters; at most 20"


def attack(valid: bytes) -> bytes:
    return with_text(valid, '{"format": ' + "9" * 1_000_000 + "}")


if __name__ == "__main__":
    run(attack, REFUSED)

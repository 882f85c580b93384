"""The hashes of the model, with arrays of another shape."""

from hostile import run, with_array

REFUSED = "its arrays do not match its schema_hash"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 1, shape=[4, 2])


if __name__ == "__main__":
    run(attack, REFUSED)

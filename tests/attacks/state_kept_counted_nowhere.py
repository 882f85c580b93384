"""An array that grows, counted by bytes that no array has."""

from hostile import run, with_array

MODEL = "finals"
REFUSED = "the state's array 'kept.steps' has counted_at 4; expected the offset of an int64 before it"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 1, counted_at=4)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

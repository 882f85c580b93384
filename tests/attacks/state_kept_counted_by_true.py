"""An array that grows, counted by what is no number."""

from hostile import run, with_array

MODEL = "finals"
REFUSED = "the state's array 'kept.steps' has counted_at False; expected the offset of an int64 before it"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 1, counted_at=False)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""The first array is not the count of steps."""

from hostile import run, split_state, with_fields

REFUSED = "the state's first array must be steps, one int64 at offset 0"


def attack(valid: bytes) -> bytes:
    return with_fields(valid, arrays=split_state(valid)[0]["arrays"][1:])


if __name__ == "__main__":
    run(attack, REFUSED)

"""A version that never existed."""

from hostile import join_state, run, split_state

REFUSED = "the state has version 0; expected 1"


def attack(valid: bytes) -> bytes:
    return join_state(*split_state(valid), version=0)


if __name__ == "__main__":
    run(attack, REFUSED)

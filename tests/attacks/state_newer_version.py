"""A state from the future."""

from hostile import join_state, run, split_state

REFUSED = "the state has version 3; this tidegate reads version 2; upgrade tidegate"


def attack(valid: bytes) -> bytes:
    return join_state(*split_state(valid), version=3)


if __name__ == "__main__":
    run(attack, REFUSED)

"""A state from the future."""

from hostile import join_state, run, split_state

REFUSED = "the state has version 2; this tidegate reads version 1; upgrade tidegate"


def attack(valid: bytes) -> bytes:
    return join_state(*split_state(valid), version=2)


if __name__ == "__main__":
    run(attack, REFUSED)

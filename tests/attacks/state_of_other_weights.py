"""The state of a model with the same layers but other weights."""

from hostile import run, valid_state

REFUSED = "the state comes from a model with other weights; use it with that model"


def attack(valid: bytes) -> bytes:
    return valid_state(seed=9)


if __name__ == "__main__":
    run(attack, REFUSED)

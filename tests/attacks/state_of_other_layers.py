"""The state of a model with wider layers."""

from hostile import run, valid_state

REFUSED = "the state has another shape: it comes from a model with other layers; use it with that model"


def attack(valid: bytes) -> bytes:
    return valid_state(H=9)


if __name__ == "__main__":
    run(attack, REFUSED)

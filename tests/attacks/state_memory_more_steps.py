"""A ring with more steps than the state has seen."""

from hostile import join_state, run, split_state

MODEL = "seasonal"
REFUSED = "its memory has more steps than the 3 of the stream"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, data[:-4] + b"\0\0\x80\x3f")


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

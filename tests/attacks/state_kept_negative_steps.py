"""A state that counts fewer steps than none, in front of the rows that they count."""

from hostile import join_state, run, split_state

MODEL = "finals"
REFUSED = "the state's kept.steps has -1 rows; expected 0 to 1024"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, b"\xff" * 8 + data[8:])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

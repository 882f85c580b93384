"""The state of a series, without any memory."""

from hostile import join_state, run, split_state

MODEL = "seasonal"
REFUSED = "its input's memory has 0 bytes; this model's has 840"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state({**header, "pending": 0}, data[: -header["pending"]])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

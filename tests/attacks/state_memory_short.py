"""The memory of a series, one number short."""

from hostile import join_state, run, split_state

MODEL = "seasonal"
REFUSED = "its input's memory has 832 bytes; this model's has 840"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state({**header, "pending": header["pending"] - 8}, data[:-8])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

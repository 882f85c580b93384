"""A series' memory cut by a number."""

from hostile import join_state, run, split_state

MODEL = "seasonal"
REFUSED = "its input's memory has 424 bytes; this model's has 428"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state({**header, "pending": header["pending"] - 4}, data[:-4])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""The memory of a series, where an unfinished word belongs."""

from hostile import join_state, run, split_state

MODEL = "classifier"
REFUSED = "the state's unfinished word has 428 bytes; at most 64 are allowed"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state({**header, "pending": 428}, data[: -header["pending"]] + bytes(428))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A memory with a negative index of its series."""

from hostile import join_state, run, split_state

MODEL = "stations"
REFUSED = "its memory belongs to series -1; this model knows 0 to 1"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    start = len(data) - header["pending"]
    return join_state(header, data[:start] + b"\xff" * 8 + data[start + 8 :])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

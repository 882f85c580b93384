"""A ring with a number that is NaN."""

from hostile import join_state, run, split_state

MODEL = "seasonal"
REFUSED = "its memory has a missing or infinite number, which no step can leave there"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    ring = len(data) - 800
    return join_state(header, data[:ring] + b"\x01\x00\x00\x00\x00\x00\xf0\x7f" + data[ring + 8 :])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

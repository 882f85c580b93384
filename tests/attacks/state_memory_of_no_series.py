"""A memory of a series for which the model has no statistics."""

from hostile import join_state, run, split_state

MODEL = "stations"
REFUSED = "its memory belongs to series 2; this model knows 0 to 1"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    start = len(data) - header["pending"]
    return join_state(header, data[:start] + (2).to_bytes(8, "little") + data[start + 8 :])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

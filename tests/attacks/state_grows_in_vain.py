"""A state of the newer version in which no array grows."""

from hostile import join_state, run, split_state

MODEL = "finals"
REFUSED = "the state has version 2, and no array in it grows; expected version 1"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    kept = {key: value for key, value in header["arrays"][1].items() if key != "counted_at"}
    return join_state({**header, "arrays": [header["arrays"][0], kept]}, data, version=2)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

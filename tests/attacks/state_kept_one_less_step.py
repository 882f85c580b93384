"""A state that has one more row than it counts."""

from hostile import join_state, run, split_state

MODEL = "finals"
REFUSED = "the state has bytes after its end"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, (2).to_bytes(8, "little") + data[8:])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

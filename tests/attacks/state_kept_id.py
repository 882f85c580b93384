"""A kept step whose id is far behind the last row of the embedding."""

from hostile import join_state, run, split_state

MODEL = "finals"
REFUSED = "the state's kept.steps has the id 1073741824; expected 0 to 5"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, data[:12] + (1 << 30).to_bytes(4, "little") + data[16:])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A state that counts one more step than it has rows."""

from hostile import join_state, run, split_state

MODEL = "finals"
REFUSED = "the state is cut short: it has"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, (4).to_bytes(8, "little") + data[8:])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

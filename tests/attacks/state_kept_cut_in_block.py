"""A state that ends before the count of its rows."""

from hostile import join_state, run, split_state

MODEL = "finals"
REFUSED = "the state is cut short: it has"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, data[:4])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

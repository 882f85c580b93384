"""A state that counts more steps than it has room for."""

from hostile import join_state, run, split_state

MODEL = "finals"
REFUSED = "the state's kept.steps has 1099511627776 rows; expected 0 to 1024"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, (1 << 40).to_bytes(8, "little") + data[8:])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

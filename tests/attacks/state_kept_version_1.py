"""A state of the version before, which counts more steps than it has room for."""

from hostile import join_state, run, split_state

MODEL = "finals"
REFUSED = "the state's kept.steps has 1025 rows; expected 0 to 1024"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    (steps, kept), block = header["arrays"], (1025).to_bytes(8, "little") + data[8:20]
    kept = {key: value for key, value in kept.items() if key != "counted_at"}
    return join_state({**header, "arrays": [steps, kept]}, block + bytes(4104 - len(block)) + data[20:])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

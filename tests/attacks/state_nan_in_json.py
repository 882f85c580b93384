"""NaN as a size, which is equal to nothing."""

import json

from hostile import join_state, run, split_state

REFUSED = "in the JSON, NaN is not a JSON number"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(json.dumps({**header, "block": float("nan")}).encode(), data)


if __name__ == "__main__":
    run(attack, REFUSED)

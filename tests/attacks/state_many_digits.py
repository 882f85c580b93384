"""A size of half a million digits, slow to convert in square time."""

import json

from hostile import join_state, run, split_state

REFUSED = "the JSON has an integer of 500000 characters"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    text = json.dumps({**header, "block": 0}).replace('"block": 0', '"block": ' + "9" * 500_000)
    return join_state(text.encode(), data)


if __name__ == "__main__":
    run(attack, REFUSED)

"""A key of the header appears twice."""

import json

from hostile import join_state, run, split_state

REFUSED = "in the JSON, the key 'block' appears twice in one object"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(b'{"block":0,' + json.dumps(header).encode()[1:], data)


if __name__ == "__main__":
    run(attack, REFUSED)

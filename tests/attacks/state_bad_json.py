"""The header's last brace is missing."""

import json

from hostile import join_state, run, split_state

REFUSED = "the state's header is not JSON: the JSON is broken"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(json.dumps(header).encode()[:-1], data)


if __name__ == "__main__":
    run(attack, REFUSED)

"""A header in another encoding than UTF-8."""

import json

from hostile import join_state, run, split_state

REFUSED = "the state's header is not JSON: 'utf-8' codec can't decode"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(json.dumps(header).encode("utf-16"), data)


if __name__ == "__main__":
    run(attack, REFUSED)

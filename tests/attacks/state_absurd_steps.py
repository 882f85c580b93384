"""A count of steps that the next step would make negative."""

import struct

from hostile import join_state, run, split_state

REFUSED = "the state has seen 9223372036854775807 steps; expected 0 to"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, struct.pack("<q", (1 << 63) - 1) + data[8:])


if __name__ == "__main__":
    run(attack, REFUSED)

"""A count of steps below zero."""

import struct

from hostile import join_state, run, split_state

REFUSED = "the state has seen -1 steps; expected 0 to"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    return join_state(header, struct.pack("<q", -1) + data[8:])


if __name__ == "__main__":
    run(attack, REFUSED)

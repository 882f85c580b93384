"""An entry of the vocabulary begins before its bytes."""

import struct

from hostile import join, run, split

REFUSED = "inputs.x: entry 1 of the vocabulary runs from 0 to -5; it must have at least one byte"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    begin, end = header["input.vocabulary.offsets"]["data_offsets"]
    offsets = list(struct.unpack(f"<{(end - begin) // 8}q", data[begin:end]))
    offsets[2] = -5
    return join(header, data[:begin] + struct.pack(f"<{len(offsets)}q", *offsets) + data[end:])


if __name__ == "__main__":
    run(attack, REFUSED)

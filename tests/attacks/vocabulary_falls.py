"""The entries of the vocabulary run backwards."""

import struct

from hostile import join, run, split

REFUSED = "inputs.x: entry 2 of the vocabulary runs from 38 to 35; it must have at least one byte"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    begin, end = header["input.vocabulary.offsets"]["data_offsets"]
    offsets = list(struct.unpack(f"<{(end - begin) // 8}q", data[begin:end]))
    offsets[2:] = offsets[:1:-1]
    return join(header, data[:begin] + struct.pack(f"<{len(offsets)}q", *offsets) + data[end:])


if __name__ == "__main__":
    run(attack, REFUSED)

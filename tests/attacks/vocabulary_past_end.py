"""An entry of the vocabulary ends far beyond its bytes."""

import struct

from hostile import join, run, split

REFUSED = "inputs.x: the vocabulary's offsets end at 1099511627776, its data at 38"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    begin, end = header["input.vocabulary.offsets"]["data_offsets"]
    offsets = list(struct.unpack(f"<{(end - begin) // 8}q", data[begin:end]))
    offsets[-1] = 1 << 40
    return join(header, data[:begin] + struct.pack(f"<{len(offsets)}q", *offsets) + data[end:])


if __name__ == "__main__":
    run(attack, REFUSED)

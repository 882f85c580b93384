"""One weight is NaN, so every answer would be."""

import struct

from hostile import join, run, split

REFUSED = "tensor 'layers.1.R': 1 of 192 values are NaN or infinite"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    begin = header["layers.1.R"]["data_offsets"][0]
    return join(header, data[:begin] + struct.pack("<f", float("nan")) + data[begin + 4 :])


if __name__ == "__main__":
    run(attack, REFUSED)

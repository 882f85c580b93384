"""A deviation that is not a number."""

from hostile import join, run, split

MODEL = "stations"
REFUSED = "inputs.x.scale.deviation: has nan; a deviation must be greater than 0"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    at = header["input.deviation"]["data_offsets"][0]
    return join(header, data[:at] + b"\x00\x00\x00\x00\x00\x00\xf8\x7f" + data[at + 8 :])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

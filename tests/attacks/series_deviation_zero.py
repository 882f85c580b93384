"""A deviation of 0, by which everything would be divided."""

from hostile import join, run, split

MODEL = "stations"
REFUSED = "inputs.x.scale.deviation: has 0.0; a deviation must be greater than 0"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    at = header["input.deviation"]["data_offsets"][0]
    return join(header, data[:at] + bytes(8) + data[at + 8 :])


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

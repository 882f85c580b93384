"""An entry of the vocabulary is not UTF-8."""

from hostile import join, run, split

REFUSED = "of the vocabulary is not UTF-8"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    begin = header["input.vocabulary.bytes"]["data_offsets"][0]
    return join(header, data[:begin] + b"\xff" + data[begin + 1 :])


if __name__ == "__main__":
    run(attack, REFUSED)

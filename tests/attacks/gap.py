"""Four bytes between two tensors that belong to neither."""

from hostile import join, run, split

REFUSED = "leaves a gap before it; expected"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    last = max((e for e in header.values() if "dtype" in e), key=lambda e: e["data_offsets"])
    last["data_offsets"] = [n + 4 for n in last["data_offsets"]]
    return join(header, data + bytes(4))


if __name__ == "__main__":
    run(attack, REFUSED)

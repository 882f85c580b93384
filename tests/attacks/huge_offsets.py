"""Shape and offsets agree on a petabyte."""

from hostile import join, run, split

REFUSED = "is cut short: its tensors need 11258999"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    later = max(e["data_offsets"][1] for e in header.values() if "dtype" in e)
    header["z"] = {"dtype": "U8", "shape": [2**50], "data_offsets": [later, later + 2**50]}
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

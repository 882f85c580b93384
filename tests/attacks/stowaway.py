"""A tensor that the document never names."""

from hostile import join, run, split

REFUSED = "tensor 'payload': the document never names it; remove it"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    end = max(e["data_offsets"][1] for e in header.values() if "dtype" in e)
    header["payload"] = {"dtype": "U8", "shape": [9], "data_offsets": [end, end + 9]}
    data += b"code here"
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

"""A tensor that the document does not use."""

from hostile import join, run, split

REFUSED = "tensor 'payload': is not used in the document; remove it"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    end = max(e["data_offsets"][1] for e in header.values() if "dtype" in e)
    header["payload"] = {"dtype": "U8", "shape": [9], "data_offsets": [end, end + 9]}
    data += b"code here"
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

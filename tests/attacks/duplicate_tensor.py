"""A tensor appears twice in the header; readers differ in which one they take."""

from hostile import join, run

REFUSED = "in the JSON, the key 'layers.0.weight' appears twice in one object"


def attack(valid: bytes) -> bytes:
    length = int.from_bytes(valid[:8], "little")
    twice = b'{"layers.0.weight":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},' + valid[9 : 8 + length]
    return join(twice, valid[8 + length :])


if __name__ == "__main__":
    run(attack, REFUSED)

"""Two tensors share their bytes."""

from hostile import join, run, split

REFUSED = "overlaps the tensor before it; expected"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["layers.1.c"]["data_offsets"] = header["layers.1.b"]["data_offsets"]
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

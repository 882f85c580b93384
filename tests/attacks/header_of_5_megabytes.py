"""A header that is all there, but too large."""

from hostile import join, run, split

REFUSED = "bytes; at most 4000000 are allowed"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["__metadata__"]["padding"] = "x" * 5_000_000
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

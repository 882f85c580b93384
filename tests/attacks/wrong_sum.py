"""A sum that is not that of the contents."""

from hostile import join, run, split

REFUSED = "is damaged, or was changed without its sum"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["__metadata__"]["tidegate.sha256"] = "0" * 64
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

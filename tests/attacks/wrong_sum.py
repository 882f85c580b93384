"""A checksum that does not match the contents."""

from hostile import join, run, split

REFUSED = "is damaged, or was changed without its checksum"


def attack(valid: bytes) -> bytes:
    header, data = split(valid)
    header["__metadata__"]["tidegate.sha256"] = "0" * 64
    return join(header, data)


if __name__ == "__main__":
    run(attack, REFUSED)

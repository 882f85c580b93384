"""A header that announces an output of a trillion numbers."""

from hostile import run, with_fields

REFUSED = "the state is cut short: it has"


def attack(valid: bytes) -> bytes:
    return with_fields(valid, output=1 << 40)


if __name__ == "__main__":
    run(attack, REFUSED)

"""The last byte is missing, as after a broken download."""

from hostile import run

REFUSED = "is cut short: its tensors need"


def attack(valid: bytes) -> bytes:
    return valid[:-1]


if __name__ == "__main__":
    run(attack, REFUSED)

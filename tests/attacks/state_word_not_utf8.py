"""An unfinished word that is not UTF-8."""

from hostile import join_state, run, split_state

REFUSED = "its unfinished word does not fit this model"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    word = b"a\xff\xfe"
    return join_state({**header, "pending": len(word)}, data[: -header["pending"]] + word)


if __name__ == "__main__":
    run(attack, REFUSED)

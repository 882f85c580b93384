"""An unfinished word that is too long."""

from hostile import join_state, run, split_state

REFUSED = "the state's unfinished word has 65 bytes; at most 64 are allowed"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    word = b"a" * 65
    return join_state({**header, "pending": len(word)}, data[: -header["pending"]] + word)


if __name__ == "__main__":
    run(attack, REFUSED)

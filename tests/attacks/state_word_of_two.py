"""An unfinished word that is really two, one of which would be lost."""

from hostile import join_state, run, split_state

REFUSED = "its unfinished word does not fit this model: the tokenizer would split it"


def attack(valid: bytes) -> bytes:
    header, data = split_state(valid)
    word = b"two words"
    return join_state({**header, "pending": len(word)}, data[: -header["pending"]] + word)


if __name__ == "__main__":
    run(attack, REFUSED)

"""An array that grows in front of one that does not."""

from hostile import run, split_state, with_fields

MODEL = "finals"
REFUSED = "the state's arrays that grow, which have counted_at, must be the last"


def attack(valid: bytes) -> bytes:
    steps, kept = split_state(valid)[0]["arrays"]
    more = {"name": "more", "dtype": "float32", "shape": [1], "offset": kept["offset"] + 4096}
    return with_fields(valid, arrays=[steps, kept, more], block=4112)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

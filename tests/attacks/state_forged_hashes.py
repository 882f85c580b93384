"""The state of a wider model, with the hashes of this one."""

from hostile import run, split_state, valid_state, with_fields

REFUSED = "the state has another shape: the size of its block or output is not this model's"


def attack(valid: bytes) -> bytes:
    header = split_state(valid)[0]
    hashes = {name: header[name] for name in ("schema_hash", "weights_hash")}
    return with_fields(valid_state(H=9), **hashes)


if __name__ == "__main__":
    run(attack, REFUSED)

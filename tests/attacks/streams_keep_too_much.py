"""A model of whole rows whose streams would keep a terabyte each."""

from hostile import run, with_document

MODEL = "finals"
REFUSED = "streams.keeps: is 1000000000000; expected an integer of 1 to 4194302"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d.update(streams={"yes": True, "keeps": 10**12}))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""A forecast without a target column."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "input.roles: has no 'target'; with input.answer there must be one to forecast"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"].update(roles=["past", "past", "known"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

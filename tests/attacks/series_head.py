"""A head of an unknown kind."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "input.answer.head: is 'hydra'; expected one of direct, autoregressive"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["input"]["answer"].update(head="hydra"))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

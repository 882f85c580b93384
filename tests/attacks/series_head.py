"""A head of an unknown kind."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "outputs.forecast.head: is 'hydra'; expected one of direct, autoregressive"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(head="hydra"))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

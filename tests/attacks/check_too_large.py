"""A check that names a weight matrix of the model."""

from hostile import run, with_document

REFUSED = "check.cases[0]: output: tensor 'layers.1.W' is F32; expected F64"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["check"]["cases"][0].update(output="layers.1.W"))


if __name__ == "__main__":
    run(attack, REFUSED)

"""More labels than outputs."""

from hostile import run, with_document

REFUSED = "outputs.label.labels: there are 4; the output has 3 numbers"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["label"]["labels"].append("fourth"))


if __name__ == "__main__":
    run(attack, REFUSED)

"""More labels than outputs."""

from hostile import run, with_document

REFUSED = "labels: there are 4; the last layer has 3 outputs"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["labels"].append("fourth"))


if __name__ == "__main__":
    run(attack, REFUSED)

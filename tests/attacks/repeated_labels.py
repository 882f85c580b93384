"""Many labels, the last of them twice, against slow comparison."""

from hostile import run, with_document

REFUSED = "appears twice; each label must appear once"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["label"].update(labels=[*map(str, range(150_000)), "149999"]))


if __name__ == "__main__":
    run(attack, REFUSED)

"""Labels behind the numbers of a forecast."""

from hostile import run, with_document

MODEL = "stations"
REFUSED = "outputs.forecast: unknown key 'labels'"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["outputs"]["forecast"].update(labels=["a", "b", "c"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

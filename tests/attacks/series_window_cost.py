"""A window whose rows, times the numbers of its layers, cost more than any answer may."""

from hostile import run, with_document
from hostile import valid as made

MODEL = "gestures"
REFUSED = "numbers per window; at most 67108864 are allowed"


def attack(valid: bytes) -> bytes:
    def change(document: dict[str, object]) -> None:
        document["inputs"]["x"]["window"].update(length=1 << 20, segment=2)  # type: ignore[index]

    return with_document(made("gestures", H=9), change)


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

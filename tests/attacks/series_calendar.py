"""A calendar with an unknown period: the moon's."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.calendar[1]: is 'moon'; expected one of day, week, month, year"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda d: d["inputs"]["x"].update(calendar=["day", "moon"]))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

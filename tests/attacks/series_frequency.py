"""Steps that are further apart than the whole calendar."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.times.frequency.every: is 1000000000000; expected an integer of 1 to 120000"


def attack(valid: bytes) -> bytes:
    rule = {"unit": "months", "every": 10**12, "weekdays": "", "day": 1}
    return with_document(valid, lambda d: d["inputs"]["x"].update(times={"zone": None, "frequency": rule}))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

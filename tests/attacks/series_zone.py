"""A time zone that is a path."""

from hostile import run, with_document

MODEL = "seasonal"
REFUSED = "inputs.x.times.zone: is '../../../etc/passwd'; expected null, an offset such as '+01:00', or a name"


def attack(valid: bytes) -> bytes:
    return with_document(
        valid, lambda d: d["inputs"]["x"].update(times={"zone": "../../../etc/passwd", "frequency": None})
    )


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""The name of a layer is a megabyte long."""

from hostile import run, with_program

MODEL = "attentive"
REFUSED = "expected 1 to 64 printable characters"


def attack(valid: bytes) -> bytes:
    return with_program(valid, lambda node: node.__setitem__("name", "a" * 1_000_000))


if __name__ == "__main__":
    run(attack, REFUSED, MODEL)

"""Two arrays with the same name; readers differ in which one they take."""

from hostile import run, with_array

REFUSED = "the state's arrays must have different names"


def attack(valid: bytes) -> bytes:
    return with_array(valid, 2, name="layers.1.h")


if __name__ == "__main__":
    run(attack, REFUSED)

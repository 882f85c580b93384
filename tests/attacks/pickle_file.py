"""A pickle that would run a command when opened by a pickle reader."""

import pickle

from hostile import run

REFUSED = "looks like a pickle; expected safetensors; opening it can run code"


def attack(valid: bytes) -> bytes:
    class Command:
        def __reduce__(self) -> tuple[object, ...]:
            return exec, ("raise SystemExit('code of the file ran')",)

    return pickle.dumps({"weights": Command()})


if __name__ == "__main__":
    run(attack, REFUSED)

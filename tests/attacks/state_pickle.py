"""A pickle, which would run a command when opened by a pickle reader."""

import pickle

from hostile import run

REFUSED = "these bytes are not a state: they start with b'\\x80"


def attack(valid: bytes) -> bytes:
    class Command:
        def __reduce__(self) -> tuple[object, ...]:
            return exec, ("raise SystemExit('code of the state ran')",)

    return pickle.dumps(Command())


if __name__ == "__main__":
    run(attack, REFUSED)

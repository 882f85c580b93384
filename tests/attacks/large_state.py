"""A state of terabytes for each stream, declared in a few bytes of a tape."""

from typing import Any

from hostile import run, with_document

REFUSED = "at most 1048576 is allowed"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: grow(document["tapes"]["gru"]))


def grow(tape: dict[str, Any]) -> None:
    tape["state"]["m"] = ["H", 65536, 65536]
    tape["next"]["m"] = len(tape["instructions"])
    tape["instructions"].append(["state", "m"])


if __name__ == "__main__":
    run(attack, REFUSED)

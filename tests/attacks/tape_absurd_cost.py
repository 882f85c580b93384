"""Two hundred registers of a million numbers each, declared in a few bytes, without any weights."""

from typing import Any

from hostile import run, with_document

REFUSED = "numbers per step; at most 4194304 are allowed"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: widen(document["tapes"]["gru"]))


def widen(tape: dict[str, Any]) -> None:
    first = len(tape["instructions"])
    tape["state"]["m"], tape["next"]["m"] = ["H", 65536], first
    tape["instructions"] += [["state", "m"], *(["exp", first + i] for i in range(200))]


if __name__ == "__main__":
    run(attack, REFUSED)

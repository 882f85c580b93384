"""A tape with a projection, in a layer that does not say how wide it is."""

from typing import Any

from hostile import run, with_document

REFUSED = "the tape is projected, so project, the width of its output, is needed"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: project(document["tapes"]["gru"]))


def project(tape: dict[str, Any]) -> None:
    tape["state"] = {"h": ["P"]}
    tape["instructions"] = [["input", "n"], ["state", "h"], ["recur", "n", 1], ["add", 0, 2], ["project", 3]]
    tape["output"], tape["next"] = 4, {"h": 4}


if __name__ == "__main__":
    run(attack, REFUSED)

"""A window of attention with a head for each of 256 numbers: a few bytes, and millions of numbers at each step."""

from typing import Any

from hostile import run, with_document

from tidegate.document.upgrade import chain_nodes

REFUSED = "numbers per step; at most 4194304 are allowed"


def attack(valid: bytes) -> bytes:
    return with_document(valid, widen)


def widen(document: dict[str, Any]) -> None:
    document["inputs"]["x"] = {"kind": "array", "features": 256}
    node = {"kind": "attend", "size": 256, "heads": 256, "window": 4096, "tensors": {}}
    document["graphs"]["layers"]["nodes"] = chain_nodes([node])


if __name__ == "__main__":
    run(attack, REFUSED)

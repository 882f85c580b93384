"""Two hundred softmaxes of a million numbers: layers without tensors, so without weight in the file."""

from typing import Any

from hostile import run, with_document

from tidegate.document.upgrade import chain_nodes

REFUSED = "numbers per step; at most 4194304 are allowed"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: widen(document))


def widen(document: dict[str, Any]) -> None:
    document["inputs"]["x"] = {"kind": "array", "features": 1 << 20}
    document["graphs"]["layers"]["nodes"] = chain_nodes([{"kind": "softmax", "size": 1 << 20, "tensors": {}}] * 200)


if __name__ == "__main__":
    run(attack, REFUSED)

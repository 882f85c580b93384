"""A pool whose outputs together are wider than allowed."""

from typing import Any

from hostile import run, with_document

from tidegate.document.upgrade import chain_nodes

REFUSED = "size 1048576 times 3 entries is over 1048576"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: widen(document))


def widen(document: dict[str, Any]) -> None:
    document["inputs"]["x"] = {"kind": "array", "features": 1 << 20}
    over = ["last", "mean", "max"]
    document["graphs"]["layers"]["nodes"] = chain_nodes(
        [{"kind": "pool", "size": 1 << 20, "over": over, "tensors": {}}]
    )


if __name__ == "__main__":
    run(attack, REFUSED)

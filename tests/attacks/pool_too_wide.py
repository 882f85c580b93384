"""A pool whose outputs together are wider than allowed."""

from typing import Any

from hostile import run, with_document

REFUSED = "size 1048576 times 3 entries is over 1048576"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: widen(document))


def widen(document: dict[str, Any]) -> None:
    document["input"] = {"kind": "array", "features": 1 << 20}
    over = ["last", "mean", "max"]
    document["layers"] = [{"kind": "pool", "size": 1 << 20, "over": over, "tensors": {}}]


if __name__ == "__main__":
    run(attack, REFUSED)

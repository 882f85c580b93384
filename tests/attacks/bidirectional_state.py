"""A bidirectional layer, which has no state in the file, but carries 20 MB from step to step."""

from typing import Any

from hostile import run, with_document

REFUSED = "the layers carry 20971560 bytes from step to step; at most 16777216"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: widen(document))


def widen(document: dict[str, Any]) -> None:
    roles = {way + role: "layers.1." + role for way in ("forward.", "backward.") for role in "WbRc"}
    nodes = document["graphs"]["layers"]["nodes"]
    nodes[1] |= {"layer": "bidirectional", "tensors": roles}
    nodes[2:] = []
    document["outputs"] = {"values": {"kind": "values", "from": "layers.1", "at": "step", "labels": None}}
    document["streams"] = {"yes": False, "because": "it reads each input in both directions"}
    tape = document["tapes"]["gru"]
    for name in "abcde":
        tape["state"][name], tape["next"][name] = ["H", 65536, 2], len(tape["instructions"])
    tape["instructions"].append(["state", "a"])


if __name__ == "__main__":
    run(attack, REFUSED)

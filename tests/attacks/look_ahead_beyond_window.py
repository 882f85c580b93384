"""A convolution that looks further ahead than its window reaches."""

from typing import Any

from hostile import run, with_document

REFUSED = "ahead is 4096; expected an integer of 0 to 1"


def attack(valid: bytes) -> bytes:
    return with_document(valid, lambda document: insert(document["graphs"]["layers"]["nodes"]))


def insert(layers: list[dict[str, Any]]) -> None:
    names = {"weight": "layers.1.W", "bias": "layers.1.b"}
    options = {"inputs": 5, "size": 5, "width": 2, "ahead": 4096, "activation": "none"}
    layers.insert(1, {"layer": "conv", "from": [0], **options, "tensors": names})
    for i, node in enumerate(layers[2:]):
        node["from"] = [i + 1]


if __name__ == "__main__":
    run(attack, REFUSED)
